"""Transactions, migrations and group commit, on SQLite and on PostgreSQL."""

from __future__ import annotations

import math
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, event, func, insert, make_url, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError

from edge_manager.domain.access import Principal, Role
from edge_manager.domain.deployments import Answer, State
from edge_manager.domain.scope import Scope
from edge_manager.errors import ApiError, ConfigurationError
from edge_manager.store import keys, starts
from edge_manager.store.caches import Cache, Caches
from edge_manager.store.devices import Beat, Device, apply, offered
from edge_manager.store.engine import Store, is_transient
from edge_manager.store.fleets import Fleets
from edge_manager.store.groups import Group
from edge_manager.store.keys import Seal, SealError
from edge_manager.store.migrate import FOLDER, UnknownSchemaError
from edge_manager.store.plans import Plans, StageDevice
from edge_manager.store.queries import page
from edge_manager.store.tables import DEPLOYMENTS, METADATA, STARTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCOPE = Scope("111111111111", "eu-west-1")
SCHEMAS = Path(__file__).parent / "schemas"
REVISIONS = [script.revision for script in ScriptDirectory(str(FOLDER)).walk_revisions()]


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    store = Store(database)
    yield store
    store.close()


def test_an_empty_database_gets_the_schema_of_the_tables(store: Store) -> None:
    def differences(connection: Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection), METADATA))

    assert store.read(differences) == []


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_store_of_every_released_version_is_brought_up_to_date(tmp_path: Path, revision: str) -> None:
    """`schemas/<revision>.sql` is a store that a service of that version wrote."""
    file = tmp_path / "store.db"
    with sqlite3.connect(file) as old:
        old.executescript((SCHEMAS / f"{revision}.sql").read_text(encoding="utf-8"))
    old.close()
    store = Store(f"sqlite:///{file}")
    differences = store.read(lambda db: compare_metadata(MigrationContext.configure(db), METADATA))
    counts = {
        table.name: store.read(lambda db, table=table: db.execute(select(func.count()).select_from(table)).scalar())  # type: ignore[misc]
        for table in METADATA.sorted_tables
    }
    store.close()
    assert differences == []
    assert all(counts.values()), "the store of an older version has a row of every kind"


def test_what_the_first_schema_knew_of_devices_is_known_after_it(tmp_path: Path) -> None:
    """One succeeded at first and the other at the second start; one of another plan, which is gone, hides the third."""
    with sqlite3.connect(tmp_path / "store.db") as old:
        old.executescript((SCHEMAS / "0001.sql").read_text(encoding="utf-8"))
        old.executescript("""
            INSERT INTO devices(id, fleet_id, name, registered, is_registered) VALUES (3, 1, 'till-3', 1.0, 1);
            INSERT INTO starts VALUES (5, 1.0);
            UPDATE deployments SET sequence = 5, state = 'FETCHED' WHERE device_id = 2;
            INSERT INTO deployments VALUES (1, 3, 5, 'READY', NULL, 'stage x of edge deployment plan gone');
            UPDATE stages SET total = 3, sequence = 5;
        """)
    old.close()
    store, caches = Store(f"sqlite:///{tmp_path / 'store.db'}"), Caches()

    def read(db: Connection) -> tuple[list[StageDevice], list[str | None]]:
        plans = Plans(db, SCOPE, caches)
        plan = plans.find("tills")
        assert plan is not None
        stages = plans.stages([plan.id])[plan.id]
        names = [Device(SCOPE, "shops", f"till-{number}") for number in (1, 2, 3)]
        offers = [offered(db, caches, each) for each in names]
        return plans.device_page(plan, stages[0], stages, {})[0], [
            offer.answer["DeploymentName"] if offer else None for offer in offers
        ]

    found, offers = store.read(read)
    store.close()
    assert [device.deployment and device.deployment.status for device in found] == ["DEPLOYED", "INPROGRESS", "STOPPED"]
    assert found[2].deployment is not None
    assert "plan gone" in (found[2].deployment.status_message or "")
    assert offers == ["tills-all-1", "tills-all-5", None]


@pytest.mark.parametrize("again", [False, True])
def test_a_start_writes_as_much_whatever_the_number_of_devices(store: Store, again: bool) -> None:
    """The first one of a stage, and the next one after a device in a hundred failed and a device in two succeeded."""
    written = {}
    for count in (100, 1000):
        scope = Scope(f"{count:012}", SCOPE.region)
        store.write(lambda db, scope=scope, count=count: _stage(db, scope, count))  # type: ignore[misc]
        if again:
            start = store.write(lambda db, scope=scope: _start(db, scope))  # type: ignore[misc]
            states = (State.FAIL if number % 100 == 0 else State.SUCCESS for number in range(count // 2))
            beats = [
                Beat(Device(scope, "shops", f"till-{number}"), 1.0, "1.0", [], Answer(start, state))
                for number, state in enumerate(states)
            ]
            store.write(lambda db, beats=beats: apply(Caches(), db, beats), isolation="READ COMMITTED")  # type: ignore[misc]
            store.write(lambda db, scope=scope: _stop(db, scope))  # type: ignore[misc]
        statements: list[str] = []
        listener = lambda _c, _u, statement, *_: statements.append(statement)  # noqa: B023, E731
        event.listen(store.engine, "before_cursor_execute", listener)
        start = store.write(lambda db, scope=scope: _start(db, scope))  # type: ignore[misc]
        event.remove(store.engine, "before_cursor_execute", listener)
        offered_to = store.read(lambda db, start=start: starts.offered(db, Caches(), start))  # type: ignore[misc]
        assert len(offered_to) == (count // 2 + math.ceil(count / 200) if again else count)
        written[count] = [statement for statement in statements if statement.startswith(("INSERT", "UPDATE", "DELETE"))]
        rows = store.read(lambda db, start=start: _rows_of(db, start))  # type: ignore[misc]
        assert rows == 0, "a device has a row once it asks"
    assert written[100] == written[1000]
    assert len(written[100]) == 3


def _stage(db: Connection, scope: Scope, count: int) -> None:
    fleets, plans = Fleets(db, scope), Plans(db, scope, Caches())
    fleets.create("shops", {}, {}, 1.0)
    fleets.register("shops", [{"DeviceName": f"till-{number}"} for number in range(count)], 1.0)
    plan = plans.create("tills", fleets.find("shops"), [], {}, 1.0)
    plans.append(plan, [("all", {"DeviceSubsetType": "PERCENTAGE", "Percentage": 100}, "DO_NOTHING")], 1.0)


def _start(db: Connection, scope: Scope) -> int:
    plans = Plans(db, scope, Caches())
    plan = plans.find("tills")
    assert plan is not None
    stages = plans.stages([plan.id])[plan.id]
    plans.start(plan, stages[0], stages, 1.0)
    return plans.stages([plan.id])[plan.id][0].sequence or 0


def _stop(db: Connection, scope: Scope) -> None:
    plans = Plans(db, scope, Caches())
    plan = plans.find("tills")
    assert plan is not None
    plans.stop(plans.stages([plan.id])[plan.id][0], 1.0)


def _rows_of(db: Connection, start: int) -> int:
    return db.execute(select(func.count()).where(DEPLOYMENTS.c.start_id == start)).scalar_one()


def test_starts_that_hide_nothing_any_more_are_forgotten(store: Store) -> None:
    store.write(lambda db: _stage(db, SCOPE, 3))
    first = store.write(lambda db: _start(db, SCOPE))

    def delete(db: Connection) -> None:
        plans = Plans(db, SCOPE, Caches())
        plan = plans.find("tills")
        assert plan is not None
        plans.delete(plan, plans.stages([plan.id])[plan.id])

    store.write(delete)
    kept = store.read(lambda db: db.execute(select(STARTS.c.id, STARTS.c.fleet_id, STARTS.c.devices)).one())
    assert tuple(kept) == (first, None, None), "its number is used by no other start"


def test_a_store_of_a_newer_version_is_left_alone(database: str) -> None:
    store = Store(database)
    store.write(lambda db: db.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    store.close()
    with pytest.raises(UnknownSchemaError, match="9999"):
        Store(database)


def test_stores_that_are_opened_together_migrate_once(database: str) -> None:
    stores: list[Store] = []
    threads = [threading.Thread(target=lambda: stores.append(Store(database))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stores) == 3
    for store in stores:
        store.close()


def test_what_fails_leaves_nothing_behind(store: Store) -> None:
    def work(db: Connection) -> None:
        db.execute(insert(STARTS).values(time=1))
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        store.write(work)
    assert store.read(lambda db: db.execute(select(func.count()).select_from(STARTS)).scalar()) == 0


def test_writes_that_meet_are_all_done_and_nobody_hears_of_it(database: str) -> None:
    """Two stores as two replicas, each adding to what it read: without a retry one of PostgreSQL's would be refused."""
    stores = [Store(database), Store(database)]
    stores[0].write(lambda db: db.execute(insert(STARTS).values(time=0)))
    begun = threading.Barrier(4)
    attempts: list[int] = []

    def add(db: Connection) -> None:
        attempts.append(1)
        found = db.execute(select(STARTS.c.time)).scalar_one()
        db.execute(update(STARTS).values(time=found + 1))

    def run(store: Store) -> None:
        begun.wait()
        for _ in range(20):
            store.write(add)

    threads = [threading.Thread(target=run, args=[stores[number % 2]]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stores[0].read(lambda db: db.execute(select(STARTS.c.time)).scalar()) == 80
    if not stores[0].is_sqlite:
        assert len(attempts) > 80, "nothing met: the test shows nothing"
    for store in stores:
        store.close()


def test_only_what_a_second_try_may_mend_is_tried_again(store: Store) -> None:
    def twice(db: Connection) -> None:
        tries.append(1)
        for _ in range(2):
            db.execute(insert(STARTS).values(id=1, time=1))

    tries: list[int] = []
    with pytest.raises(IntegrityError) as error:
        store.write(twice)
    assert tries == [1]
    assert not is_transient(error.value)


def test_of_two_that_make_the_same_thing_at_once_one_hears_that_it_exists(database: str) -> None:
    stores = [Store(database), Store(database)]
    begun = threading.Barrier(2)
    outcomes: list[str] = []

    def make(store: Store) -> None:
        for number in range(20):
            begun.wait()
            try:
                store.write(lambda db, name=f"fleet-{number}": Fleets(db, SCOPE).create(name, {}, {}, 1.0))  # type: ignore[misc]
            except ApiError as error:
                outcomes.append(error.code)
            else:
                outcomes.append("OK")

    threads = [threading.Thread(target=make, args=[store]) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    assert sorted(outcomes) == ["OK"] * 20 + ["ResourceInUse"] * 20


def test_sqlite_waits_for_a_file_that_another_process_holds(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    store = Store(url)
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    timer.start()
    store.write(lambda db: db.execute(insert(STARTS).values(time=1)))
    timer.join()
    other.close()
    store.close()


def test_a_store_in_memory_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="needs a file"):
        Store("sqlite://")


def test_sqlite_syncs_every_commit(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    pragmas = {
        name: store.read(lambda db, name=name: db.execute(text(f"PRAGMA {name}")).scalar())  # type: ignore[misc]
        for name in ("journal_mode", "synchronous", "foreign_keys")
    }
    store.close()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_group_shares_transactions_and_gives_everybody_his_own_result(store: Store) -> None:
    sizes: list[int] = []

    def work(db: Connection, items: Any) -> list[Any]:
        sizes.append(len(items))
        db.execute(insert(STARTS), [{"time": item} for item in items])
        return [KeyError(item) if item == 7 else item for item in items]

    group: Group[int, int] = Group(store, work)
    futures = [group.submit(item) for item in range(50)]
    group.close()
    for item, future in enumerate(futures):
        if item == 7:
            assert isinstance(future.exception(), KeyError)
        else:
            assert future.result() == item
    assert sum(sizes) == 50
    assert len(sizes) < 50
    assert store.read(lambda db: db.execute(select(func.count()).select_from(STARTS)).scalar()) == 50


def test_one_bad_item_spoils_a_group_for_nobody_else(store: Store) -> None:
    def work(db: Connection, items: Any) -> list[Any]:
        db.execute(insert(STARTS), [{"id": item, "time": 0} for item in items])
        return list(items)

    group: Group[int, int] = Group(store, work)
    futures = [group.submit(item) for item in (1, 2, 2, 3)]
    group.close()
    failed = [future.exception() for future in futures]
    assert [error is None for error in failed].count(False) == 1
    assert store.read(lambda db: sorted(db.execute(select(STARTS.c.id)).scalars())) == [1, 2, 3]


def test_a_busy_group_does_not_hide_what_is_not_transient(store: Store) -> None:
    error = OperationalError("SELECT", {}, Exception("no such table"))
    assert not is_transient(error)
    assert store.read(lambda db: db.execute(select(func.count()).select_from(STARTS)).scalar()) == 0


@settings(max_examples=30)
@given(size=st.integers(1, 5), total=st.integers(0, 12), descending=st.booleans())
def test_pages_have_every_row_once(size: int, total: int, descending: bool) -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as db:
        STARTS.create(db)
        if total:
            db.execute(insert(STARTS), [{"time": number % 3} for number in range(total)])
        found: list[int] = []
        wanted: dict[str, Any] = {"MaxResults": size}
        while True:
            rows, token = page(db, select(STARTS), [STARTS.c.time, STARTS.c.id], wanted, descending=descending)
            found += [row.id for row in rows]
            if token is None:
                break
            wanted["NextToken"] = token
    engine.dispose()
    expected = sorted(range(1, total + 1), key=lambda number: ((number - 1) % 3, number), reverse=descending)
    assert found == expected


def test_a_cache_holds_what_weighs_so_much_and_the_last_one_at_least() -> None:
    cache: Cache[str] = Cache(4, len)
    made: list[str] = []

    def get(key: int, value: str, stamp: int = 0) -> str:
        return cache.get(key, stamp, lambda: made.append(value) or value)  # type: ignore[func-returns-value]

    assert [get(1, "aa"), get(2, "bb"), get(1, "-"), get(3, "cc"), get(2, "new")] == ["aa", "bb", "aa", "cc", "new"]
    assert made == ["aa", "bb", "cc", "new"]
    assert get(2, "newer", 1) == "newer", "the stamp has moved"
    assert get(4, "too much") == "too much"
    assert get(4, "-") == "too much"


def test_a_secret_is_kept_encrypted_and_opens_with_its_key_alone(store: Store) -> None:
    seal = Seal(Seal.new_key())
    wanted = Principal("", "111111111111", "", Role.ADMIN)
    key = store.write(lambda db: keys.create(db, seal, 1.0, wanted))
    found = store.read(lambda db: keys.find(db, seal, key.principal.access_key))
    assert found is not None
    assert found.secret == key.secret
    assert key.secret not in repr(key)
    other = Seal(Seal.new_key())
    assert store.read(lambda db: keys.find(db, other, key.principal.access_key)) is None
    with pytest.raises(ConfigurationError, match="not the one"):
        store.read(lambda db: keys.require(db, other))
    if store.is_sqlite:
        file = Path(make_url(str(store.engine.url)).database or "")
        kept = b"".join(path.read_bytes() for path in file.parent.glob(f"{file.name}*"))
        assert key.principal.access_key.encode() in kept
        assert key.secret.encode() not in kept


@pytest.mark.parametrize("key", ["", "c2hvcnQ=", "not base64!"])
def test_an_encryption_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(SealError, match="32 bytes in base64"):
        Seal(key)


def test_sealed_for_one_purpose_is_sealed_for_no_other() -> None:
    seal = Seal(Seal.new_key())
    token = seal.token({"a": 1}, "session")
    assert seal.read_token(token, "session") == {"a": 1}
    for wrong in (lambda: seal.read_token(token, "else"), lambda: seal.read_token("?", "session")):
        refused(wrong)


def refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(SealError):
        wrong()
