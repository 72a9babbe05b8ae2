"""Every struct of attributes in kernels/*.h has the hash of its own name as its identity, and no
name is there twice."""

import re
import unittest

import support

STRUCT = re.compile(r"^struct (\w+) \{\n(.*?)^\};", re.MULTILINE | re.DOTALL)
IDENTITY = re.compile(r'static constexpr uint64_t id = hash_name\("(\w+)"\);')


def wrong_identities(text):
    """The structs whose identity is not the hash of their name."""
    return [
        name for name, body in STRUCT.findall(text) for found in IDENTITY.findall(body)
        if found != name]


class Attributes(unittest.TestCase):
    def test_an_identity_is_the_hash_of_the_structs_name(self):
        texts = [file.read_text() for file in sorted((support.SOURCE / "kernels").glob("*.h"))]
        self.assertEqual([name for text in texts for name in wrong_identities(text)], [])
        names = [name for text in texts for name in IDENTITY.findall(text)]
        self.assertGreater(len(names), 15)
        self.assertEqual(len(names), len(set(names)))

    def test_a_copied_identity_is_caught(self):
        planted = ('struct Scale {\n  static constexpr uint64_t id = hash_name("Sgd");\n'
                   '  double factor;\n};\n')
        self.assertEqual(wrong_identities(planted), ["Scale"])


if __name__ == "__main__":
    unittest.main()
