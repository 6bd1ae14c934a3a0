import unittest

from sizes import parse


class Reading(unittest.TestCase):
    def test_units_of_any_case(self):
        self.assertEqual(parse("12 b"), 12)
        self.assertEqual(parse("1.5 KiB"), 1536)
        self.assertEqual(parse("2mib"), 2 * 1024**2)

    def test_what_is_no_size_is_refused(self):
        for text in ("", "twelve", "12", "1 kb"):
            with self.assertRaises(ValueError):
                parse(text)


if __name__ == "__main__":
    unittest.main()
