"""Tasks: orders that finish later. The row is the product: what was asked, where it runs, what it made and cost."""

from halley.tasks.model import Boot, Due, NewTask, Seen, Task, TaskFilter, Version
from halley.tasks.states import TaskState, may_move

__all__ = ["Boot", "Due", "NewTask", "Seen", "Task", "TaskFilter", "TaskState", "Version", "may_move"]
