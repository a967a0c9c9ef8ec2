"""The floor on Redis: one script claims a batch into the worker's hash, one commits a batch of what is still in it."""

import json
import os
from collections.abc import Sequence
from typing import Any

import redis

from tests.benchmarks.contenders.floor import Floor, FloorWorker, Outcome, main
from tests.benchmarks.target import Target

CLAIM = """
local messages = redis.call('LPOP', KEYS[1], ARGV[1])
if not messages then return {} end
local base, fields, claimed = redis.call('INCRBY', KEYS[3], #messages) - #messages, {}, {}
for i, message in ipairs(messages) do
  fields[2 * i - 1], fields[2 * i] = base + i, message
  claimed[i] = {base + i, message}
end
redis.call('HSET', KEYS[2], unpack(fields))
return claimed
"""
COMMIT = """
local settled = 0
for i = 1, #ARGV, 3 do
  if redis.call('HDEL', KEYS[1], ARGV[i]) == 1 then
    redis.call('SET', ARGV[i + 1], ARGV[i + 2], 'EX', 3600)
    settled = settled + 1
  end
end
return settled
"""
STATE = (
    '{"TaskUUID":"%s","TaskName":"add","State":"%s","Results":%s,"Error":"","CreatedAt":"2026-01-02T03:04:05Z","TTL":0}'
)
HELD = "held:"


def connect() -> Any:
    return redis.Redis.from_url(Target.of_environment().host)


class RedisFloor(Floor):
    def __init__(self) -> None:
        self._client = connect()
        self._sent: list[str] = []

    def create(self) -> None:
        """There is nothing to make."""

    def insert(self, queue: str, uuids: Sequence[str], bodies: Sequence[str]) -> None:
        if queue == "measured":
            self._sent += uuids
        with self._client.pipeline(transaction=False) as pipeline:
            for uuid, body in zip(uuids, bodies, strict=True):
                pipeline.set(uuid, STATE % (uuid, "PENDING", "null"), ex=3600)
                pipeline.rpush(queue, body)
            pipeline.execute()

    def waiting(self) -> int:
        workers = [HELD + pid.decode() for pid in self._client.smembers("workers")]
        return int(self._client.llen("measured")) + sum(int(self._client.hlen(worker)) for worker in workers)

    def ended_well(self) -> int:
        states = [json.loads(text) for text in self._client.mget(self._sent)]
        return sum(1 for state in states if state["State"] == "SUCCESS" and state["Results"])

    def has_result(self, uuid: str) -> bool:
        return b'"State":"SUCCESS"' in self._client.get(uuid)


class RedisFloorWorker(FloorWorker):
    def __init__(self) -> None:
        super().__init__()
        client = connect()
        client.sadd("workers", os.getpid())
        self._claim, self._commit = connect().register_script(CLAIM), connect().register_script(COMMIT)
        self._held = f"{HELD}{os.getpid()}"

    def claim(self, limit: int) -> Sequence[tuple[int, str]]:
        claimed: Sequence[tuple[int, str]] = self._claim(["measured", self._held, "counter"], [limit])
        return claimed

    def commit(self, outcomes: Sequence[Outcome]) -> int:
        states = [(each.message, each.uuid, STATE % (each.uuid, "SUCCESS", each.results)) for each in outcomes]
        return int(self._commit([self._held], [word for state in states for word in state]))


if __name__ == "__main__":
    main(RedisFloor, RedisFloorWorker)
