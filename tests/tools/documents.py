"""Every file that README and the pages of docs/ name exists."""

import re
import unittest

import support

# What a page may name that is made by building or running, or belongs to the user.
MADE = re.compile(r"^(build[^/]*|data|runs)(/|$)")
# A path of the project: it begins with one of its folders.
FOLDERS = "src|kernels|tests|tools|docs|jobs|inputs|\\.ci"
NAMED = re.compile(rf"(?<![\w./-])((?:{FOLDERS})/[\w./*{{}},<>-]*)")
# docs/architecture.md's list of the folders, which layers.py reads; a folder may be still to come.
LIST_OF_FOLDERS = re.compile(r"^    (src|kernels)/.*$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


def pages():
    yield from sorted(support.SOURCE.glob("*.md"))
    yield from sorted((support.SOURCE / "docs").rglob("*.md"))


def missing(page, text):
    """The names in `text` of files that are not there. Patterns (*, <>, {}) must match
    something."""
    text = LIST_OF_FOLDERS.sub("", text)
    absent = []
    for link in LINK.findall(text):
        if not (page.parent / link).exists():
            absent.append(link)
    for name in NAMED.findall(text):
        name = name.rstrip(".,/-")
        if re.search(r"[<{]", name):
            name = name[:re.search(r"[<{]", name).start()].rpartition("/")[0]
        if MADE.match(name):
            continue
        if not any(support.SOURCE.glob(name)):
            absent.append(name)
    return absent


class Documents(unittest.TestCase):
    def test_every_file_named_in_the_pages_exists(self):
        absent = [f"{page.relative_to(support.SOURCE)}: {name}"
                  for page in pages() for name in missing(page, page.read_text())]
        self.assertEqual(absent, [])

    def test_a_missing_file_is_noticed(self):
        page = support.SOURCE / "README.md"
        self.assertEqual(missing(page, "see `tools/no-such-tool` and docs/architecture.md."),
                         ["tools/no-such-tool"])
        self.assertEqual(missing(page, "[a](docs/none.md), [b](docs/architecture.md#top)"),
                         ["docs/none.md", "docs/none.md"])
