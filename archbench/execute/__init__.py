"""Jobs -> Messages: cells counted, measured and trained, each in a process of its own, here or on a cluster's nodes.

jobs          what is asked and answered          work          doing it, in whichever process
nursery       the warm process that others are forked from      warm    the parent's end of it
pool          the parent's side of all processes
checkpoints   the state of trainings              stops         Ctrl-C and SIGTERM
cluster       the driver's side of Ray            tasks         jobs there, and how they end
remote        a job on one of its nodes           nodes         who may do them
facts         what makes results of two machines comparable     session       Ray, joined or started
"""

from archbench.execute.checkpoints import FOLDER as CHECKPOINTS_FOLDER
from archbench.execute.checkpoints import folder_of, remove_checkpoints
from archbench.execute.jobs import Ended, Job, Message, Setup
from archbench.execute.pool import Isolated, Runner
from archbench.execute.stops import Stops
from archbench.execute.warm import Warm
from archbench.execute.work import LOGS_FOLDER, WEIGHTS_FOLDER, Here, weights_file, write_weights

__all__ = [
    "CHECKPOINTS_FOLDER", "LOGS_FOLDER", "WEIGHTS_FOLDER", "Ended", "Here", "Isolated", "Job", "Message", "Runner",
    "Setup", "Stops", "Warm", "folder_of", "remove_checkpoints", "weights_file", "write_weights",
]  # fmt: skip
