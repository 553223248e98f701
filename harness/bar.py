"""Bars of text, an eighth of a character fine, and what stands for them where there is no such character."""

_EIGHTHS = "▏▎▍▌▋▊▉█"
_PLAIN = str.maketrans(dict.fromkeys("▏▎▍", "-") | dict.fromkeys("▌▋▊▉█", "#"))


def bar(share: float, width: int = 8) -> str:
    """As long as the `share` (0 to 1) of `width` characters; what is above nothing is seen."""
    if not share > 0:
        return ""
    full, part = divmod(max(1, round(min(share, 1.0) * width * 8)), 8)
    return _EIGHTHS[-1] * full + (_EIGHTHS[part - 1] if part else "")


def sayable(text: str, encoding: str) -> str:
    """`text`, with bars of ASCII where `encoding` has no others."""
    try:
        _EIGHTHS.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return text.translate(_PLAIN)
    return text
