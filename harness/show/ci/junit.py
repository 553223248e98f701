"""`junit.xml`: the verdicts as test results, for GitLab, Jenkins and whoever else reads them."""

import re
from xml.etree import ElementTree

from harness.show.ci.verdict_file import VerdictFile
from harness.show.verdict_words import ToldVerdict, spaced

FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write."""


def document(verdict: VerdictFile) -> bytes:
    """One suite for the gate as a whole, so that a gate that is not ok is never all green, then one a suite.

    What regressed or was not measured is a failure; what is inconclusive or incomparable is skipped, or a failure where
    the policy is `release`.
    """
    root = ElementTree.Element("testsuites", name="bitbench gate")
    whole = ElementTree.SubElement(root, "testsuite", name="verdict")
    case = ElementTree.SubElement(whole, "testcase", classname="bitbench", name="gate")
    how = "error" if verdict.answer == "error" else "failure" if verdict.exit_code else ""
    _outcome(case, how, verdict.answer, verdict.headline)
    suites: dict[str, ElementTree.Element] = {}
    for one in (*verdict.judged, *verdict.sentinels):
        name = one.case.suite
        if name not in suites:
            suites[name] = ElementTree.SubElement(root, "testsuite", name=_clean(name))
        _testcase(suites[name], one, verdict.policy == "release")
    for suite in root:
        _add_counts(suite)
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    ElementTree.indent(root)
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def _testcase(suite: ElementTree.Element, verdict: ToldVerdict, strict: bool) -> None:
    case = verdict.case
    point = " ".join(f"{name}={value}" for name, value in case.params.items())
    name = f"{verdict.metric} {point}".rstrip()
    element = ElementTree.SubElement(
        suite, "testcase", classname=_clean(f"{case.suite}.{case.implementation}"), name=_clean(name)
    )
    how = ""
    if verdict.word in ("regressed", "not_measured"):
        how = "failure"
    elif verdict.word in ("inconclusive", "incomparable"):
        how = "failure" if strict else "skipped"
    _outcome(element, how, verdict.word, f"{spaced(verdict.word)}: {verdict.reason}")


def _outcome(case: ElementTree.Element, how: str, kind: str, words: str) -> None:
    """`how` is the name of the element that says so; empty for a pass, whose words are kept as its output."""
    if how:
        ElementTree.SubElement(case, how, type=kind, message=_clean(words))
    else:
        ElementTree.SubElement(case, "system-out").text = _clean(words)


def _add_counts(suite: ElementTree.Element) -> None:
    for count, how in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(count, str(len(suite.findall(f"testcase/{how}"))))
    suite.set("tests", str(len(suite)))


def _clean(text: str) -> str:
    return FORBIDDEN.sub("", text)
