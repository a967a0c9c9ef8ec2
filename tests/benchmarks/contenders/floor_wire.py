"""The message of the floor: all of Go machinery's fields, as little code as can be."""

import uuid
from typing import Any

import msgspec


class Arg(msgspec.Struct):
    Name: str = ""
    Type: str = ""
    Value: msgspec.Raw = msgspec.Raw(b"null")


class Signature(msgspec.Struct):
    """tasks/signature.go:48-73."""

    UUID: str
    Name: str = "add"
    RoutingKey: str = "measured"
    ETA: str | None = None
    GroupUUID: str = ""
    GroupTaskCount: int = 0
    Args: list[Arg] | None = None
    Headers: dict[str, Any] | None = None
    Priority: int = 0
    Immutable: bool = False
    RetryCount: int = 0
    RetryTimeout: int = 0
    OnSuccess: list[Any] | None = None
    OnError: list[Any] | None = None
    ChordCallback: dict[str, Any] | None = None
    BrokerMessageGroupId: str = ""
    SQSReceiptHandle: str = ""
    StopTaskDeletionOnError: bool = False
    IgnoreWhenTaskNotRegistered: bool = False


class Result(msgspec.Struct):
    """tasks/result.go:19-22."""

    Type: str
    Value: int


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Signature).decode
decode_integer = msgspec.json.Decoder(int).decode


def new_signature(number: int) -> Signature:
    """`add(number, 1)`, under a UUID of its own."""
    arguments = [Arg(Type="int64", Value=msgspec.Raw(b"%d" % term)) for term in (number, 1)]
    return Signature(f"task_{uuid.uuid4()}", Args=arguments, Headers={})


def execute(body: str) -> tuple[str, str]:
    """Decode, call, encode: the UUID, and the results as JSON."""
    signature = decode(body)
    total = sum(decode_integer(argument.Value) for argument in signature.Args or ())
    return signature.UUID, encode([Result("int64", total)]).decode()
