"""When a periodic task is due: specs as robfig/cron v3 reads them, in any zone, across changes of offset.

Pure Python; `parse` needs the library croniter (extra `cron`), importing this package does not.
"""

from django_machinery.cron.parsing import parse
from django_machinery.cron.policy import GAP_NEXT, GAP_SKIP, OVERLAP_BOTH, OVERLAP_FIRST, DstPolicy
from django_machinery.cron.spec import Spec
from django_machinery.exceptions import CronError

__all__ = ["GAP_NEXT", "GAP_SKIP", "OVERLAP_BOTH", "OVERLAP_FIRST", "CronError", "DstPolicy", "Spec", "parse"]
