import unittest

from sizes import write


class Writing(unittest.TestCase):
    def test_small_sizes_are_whole_bytes(self):
        self.assertEqual(write(0), "0 B")
        self.assertEqual(write(1023), "1023 B")

    def test_larger_sizes_have_one_decimal_place(self):
        self.assertEqual(write(1536), "1.5 KiB")
        self.assertEqual(write(5 * 1024**3 + 1), "5.0 GiB")

    def test_exactly_one_of_a_unit_is_written_in_that_unit(self):
        self.assertEqual(write(1024), "1.0 KiB")
        self.assertEqual(write(1024**2), "1.0 MiB")

    def test_negative_sizes_are_refused(self):
        with self.assertRaises(ValueError):
            write(-1)


if __name__ == "__main__":
    unittest.main()
