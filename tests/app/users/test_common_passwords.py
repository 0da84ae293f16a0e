"""The list of common passwords: zxcvbn's, of which only the one list is loaded."""

import subprocess
import sys

from zxcvbn.frequency_lists import FREQUENCY_LISTS

from app.users import common_passwords


def test_the_list_is_the_beginning_of_zxcvbns() -> None:
    assert common_passwords.load() == frozenset(FREQUENCY_LISTS["passwords"][: common_passwords.COMMON])


def test_reading_it_loads_no_other_list() -> None:
    script = (
        "import sys; from app.users import common_passwords; common_passwords.load(); print('zxcvbn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
