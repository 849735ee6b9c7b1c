"""What must hold between callers, gateway and vendors, whatever was killed. Pure: each rule gives what breaks it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tests.crash.books import AnswerRow, Books, TaskRow
from tests.crash.chats import Heard
from tests.crash.orders import Ending, Orders
from tests.crash.processes import Job
from tests.crash.receiver import Received

from halley.kernel.money import nanos_from_dollars

PRICES = {
    "flux-pro-1.1": nanos_from_dollars("0.04"),
    "flux-dev": nanos_from_dollars("0.025"),
    "flux-schnell": nanos_from_dollars("0.003"),
    "flux-kontext-pro": nanos_from_dollars("0.04"),
}
ENDED = frozenset({"succeeded", "failed", "cancelled"})
ENDS_AS: Mapping[Ending, frozenset[str]] = {
    Ending.SUCCESS: frozenset({"succeeded"}),
    Ending.FAILURE: frozenset({"failed"}),
    Ending.REFUSED: frozenset(),
    Ending.LOST: frozenset({"unknown", "succeeded"}),
    Ending.RESOLVED: frozenset({"failed", "unknown"}),
    # Cancelled too late, it succeeds; the crash may have come before the cancel was sent.
    Ending.CANCELLED: frozenset({"cancelled", "succeeded"}),
}


def violations(books: Books, jobs: Sequence[Job], orders: Orders, received: Sequence[Received]) -> list[str]:
    """List everything that is wrong once all has settled."""
    by_tag: dict[str, list[TaskRow]] = defaultdict(list)
    for task in books.tasks:
        by_tag[task.tag].append(task)
    return [
        *_accepted_orders_end_as_told(by_tag, orders),
        *_an_order_is_one_task(by_tag, orders),
        *_a_job_belongs_to_one_task(by_tag, jobs, orders),
        *_money_follows_the_state(books),
        *_account_columns_follow_the_tasks(books),
        *_webhooks_tell_each_end(books, received),
        *(f"ledger verify: {difference}" for difference in books.differences),
    ]


def wrong_answers(books: Books, heard: Sequence[Heard]) -> list[str]:
    """List what is wrong with answers: each was paid once and heard, or is lost and free."""
    wrong = [problem for answer in books.answers for problem in _answer_is_booked_as_it_ended(answer)]
    paid = sum(answer.outcome == "succeeded" for answer in books.answers)
    whole = {each.tag for each in heard if each.whole and not each.replayed}
    lost = sum(answer.outcome == "lost" for answer in books.answers)
    if not len(whole) - lost <= paid <= len({each.tag for each in heard}):
        wrong.append(f"{paid} answers were paid and {lost} lost, {len(whole)} came whole")
    return wrong


def _answer_is_booked_as_it_ended(answer: AnswerRow) -> Iterator[str]:
    if answer.open:
        yield f"the hold of {answer.id} is open"
    match answer.outcome:
        case "succeeded":
            if answer.voided or not answer.posted or answer.posted != answer.price:
                yield f"{answer.id} succeeded: posted {answer.posted}, its usage says {answer.price}"
        case "lost":
            if answer.posted or answer.price or not answer.voided or answer.exposure != answer.held:
                yield f"{answer.id} is lost: posted {answer.posted}, exposed {answer.exposure} of {answer.held}"
        case _:
            yield f"{answer.id} ended as {answer.outcome}"


def _accepted_orders_end_as_told(by_tag: dict[str, list[TaskRow]], orders: Orders) -> Iterator[str]:
    for answer in orders.answers:
        order = answer.order
        if answer.task_id is None:
            if order.ending is not Ending.REFUSED:
                yield f"{order.tag} was refused with {answer.status}: {answer.text[:300]}"
            continue
        found = [task for task in by_tag[order.tag] if task.id == answer.task_id]
        if not found:
            yield f"{order.tag} was accepted as {answer.task_id}, which is not there"
            continue
        # A repeat after the crash may be answered with a task whose fate nobody knows; a first answer never is.
        excused = answer.replayed and found[0].state == "unknown"
        if found[0].state not in ENDS_AS[order.ending] and not excused:
            yield f"{order.tag} was accepted to end as {order.ending} and is {found[0].state}"


def _an_order_is_one_task(by_tag: dict[str, list[TaskRow]], orders: Orders) -> Iterator[str]:
    for tag, tasks in by_tag.items():
        if tag not in orders.sent:
            yield f"{tag} has a task and was never sent"
        if len(tasks) > 1:
            yield f"{tag} became {len(tasks)} tasks: {[(task.id, task.state) for task in tasks]}"


def _a_job_belongs_to_one_task(by_tag: dict[str, list[TaskRow]], jobs: Sequence[Job], orders: Orders) -> Iterator[str]:
    for tag, times in Counter(job.tag for job in jobs).items():
        if times > 1:
            yield f"{tag} was ordered {times} times at the vendor"
    for job in jobs:
        tasks = by_tag.get(job.tag, [])
        if not tasks:
            yield f"{job.tag} was ordered at {job.vendor} and no task stands for it"
        for task in tasks:
            # A vendor that can be asked has told us its id by now; the other's job stays with an unknown task.
            lost = task.state == "unknown" or orders.sent[task.tag].ending is Ending.RESOLVED
            unknown = lost and task.vendor_task_id is None and task.vendor != "replicate"
            if task.vendor != job.vendor or (task.vendor_task_id != job.id and not unknown):
                yield f"{job.tag}: job {job.id} at {job.vendor}, but the task says {task.vendor} {task.vendor_task_id}"
    by_id = Counter(task.vendor_task_id for tasks in by_tag.values() for task in tasks if task.vendor_task_id)
    yield from (f"vendor id {name} belongs to {times} tasks" for name, times in by_id.items() if times > 1)
    for name in by_id.keys() - {job.id for job in jobs}:
        yield f"vendor id {name} is in no journal"
    reached = {job.tag for job in jobs}
    unknown = [task for tasks in by_tag.values() for task in tasks if task.vendor_task_id is None]
    if len(jobs) != len(by_id) + sum(task.tag in reached for task in unknown):
        yield f"{len(jobs)} jobs, but {len(by_id)} tasks with a vendor id and {len(unknown)} without"


def _money_follows_the_state(books: Books) -> Iterator[str]:
    for task in books.tasks:
        if task.held != PRICES[task.model]:
            yield f"{task.tag}: held {task.held}, the price is {PRICES[task.model]}"
        due = PRICES[task.model] if task.state == "succeeded" else None
        if books.posted.get(task.id) != due:
            yield f"{task.tag} is {task.state}: posted {books.posted.get(task.id)}, due {due}"
        if (task.id in books.voided) != (task.state in ("failed", "cancelled")):
            yield f"{task.tag} is {task.state}: its hold is {'' if task.id in books.voided else 'not '}voided"
        if (task.id in books.open_holds) != (task.state == "unknown"):
            yield f"{task.tag} is {task.state}: its hold is {'' if task.id in books.open_holds else 'not '}open"
        if books.usage.get(task.id) != ((due or 0) if task.state in ENDED else None):
            yield f"{task.tag} is {task.state}: its usage says {books.usage.get(task.id)}"
        if task.cost != ((due or 0) if task.state in ENDED else None):
            yield f"{task.tag} is {task.state}: its row says that it cost {task.cost}"
    strangers = {*books.posted, *books.open_holds, *books.usage} - {task.id for task in books.tasks}
    yield from (f"money was moved for {name}, which is no task" for name in strangers)


def _account_columns_follow_the_tasks(books: Books) -> Iterator[str]:
    posted = sum(PRICES[task.model] for task in books.tasks if task.state == "succeeded")
    posted += sum(answer.posted for answer in books.answers)
    pending = sum(PRICES[task.model] for task in books.tasks if task.state == "unknown")
    if books.debits_posted != posted + books.taken_back:
        yield f"the account paid {books.debits_posted}, its images and answers come to {posted}"
    if books.debits_pending != pending:
        yield f"the account has {books.debits_pending} on hold, its unknown tasks come to {pending}"


def _webhooks_tell_each_end(books: Books, received: Sequence[Received]) -> Iterator[str]:
    heard = {each.id for each in received}
    tasks = {task.id: task for task in books.tasks}
    for delivery in books.deliveries:
        if delivery.state != "delivered":
            yield f"webhook {delivery.id} ({delivery.event}) of {tasks[delivery.task_id].tag} is {delivery.state}"
        if delivery.id not in heard:
            yield f"webhook {delivery.id} ({delivery.event}) of {tasks[delivery.task_id].tag} never came"
    ends = Counter(delivery.task_id for delivery in books.deliveries if delivery.event == "completed")
    for task in books.tasks:
        due = int(task.hooked and task.state in ENDED)
        if ends[task.id] != due:
            yield f"{task.tag} is {task.state}: {ends[task.id]} webhooks tell of its end, due {due}"
    tags = {delivery.id: tasks[delivery.task_id].tag for delivery in books.deliveries}
    for each in received:
        if tags.get(each.id) != each.tag:
            yield f"webhook {each.id} came for {each.tag}, the outbox says {tags.get(each.id)}"
