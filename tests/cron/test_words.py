"""Specs in English."""

import pytest

from django_machinery.cron import parse


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("* * * * *", "Every minute"),
        ("*/5 * * * *", "Every 5 minutes"),
        ("0 * * * *", "Every hour"),
        ("1 * * * *", "At 1 minute past every hour"),
        ("15,45 * * * *", "At 15 and 45 minutes past every hour"),
        ("*/7 * * * *", "At 0, 7, 14, 21, 28, 35, 42, 49 and 56 minutes past every hour"),
        ("0 */2 * * *", "Every 2 hours"),
        ("0 9-17 * * *", "Every hour from 09:00 to 17:00"),
        ("0 9-17 * * mon-fri", "Every hour from 09:00 to 17:00 from Monday to Friday"),
        ("0 1-7,9 * * *", "On the hour in the hours 1 to 7 and 9 every day"),
        ("30 9-17 * * *", "At 30 minutes past the hour from 09:00 to 17:59 every day"),
        ("0 6 * * ?", "At 06:00 every day"),
        ("0 6,18 * * *", "At 06:00 and 18:00 every day"),
        ("*/10 8-18 * * MON-FRI", "Every 10 minutes from 08:00 to 18:59 from Monday to Friday"),
        ("*/5 3 * * *", "Every 5 minutes from 03:00 to 03:59 every day"),
        (
            "15,45 8-18/2 * * 6,7",
            "At 15 and 45 minutes past the hour in the hours 8, 10, 12, 14, 16 and 18 on Saturday and Sunday",
        ),
        ("0 0 13 * FRI", "At 00:00 on day 13 of the month or on Friday"),
        ("0 0 1-7,15 * *", "At 00:00 on days 1 to 7 and 15 of the month"),
        ("0 0 1-31 * MON", "At 00:00 every day"),
        ("0 0 , * MON", "At 00:00 on Monday"),
        ("0 0 1 * ,", "At 00:00 on day 1 of the month"),
        ("0 0 1 1 *", "At 00:00 on day 1 of the month in January"),
        ("0 12 * 4-10 *", "At 12:00 every day from April to October"),
        ("* * * feb,12 0", "Every minute on Sunday in February and December"),
        ("@daily", "At 00:00 every day"),
        ("@every 1s", "Every second"),
        ("@every 90s", "Every 90 seconds"),
        ("@every 1h30m", "Every 90 minutes"),
        ("@every 24h", "Every 24 hours"),
        ("CRON_TZ=America/New_York 30 2 * * *", "At 02:30 every day, America/New_York time"),
        ("0 0 30 2 *", "Never"),
        ("0 0 30 2 MON", "At 00:00 on day 30 of the month or on Monday in February"),
        ("0 0 31 2,4 *", "Never"),
        ("0 0 29 2 *", "At 00:00 on day 29 of the month in February"),
        (", * * * *", "Never"),
        ("0 0 * , *", "Never"),
    ],
)
def test_a_spec_is_told_in_words(text: str, words: str):
    assert parse(text).words() == words
