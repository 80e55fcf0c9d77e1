"""Pipelines: each method against plain Python lists, lengths, seeds, nesting, errors."""

import math
from collections import namedtuple
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import minicnn
from minicnn.data import AUTOTUNE, INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, Dataset

pytestmark = pytest.mark.timeout(60)


def numbers(n, as_rows):
    """0..n-1 from arrays, whose positions are what is moved about, or from a generator."""
    if as_rows:
        return Dataset.from_tensor_slices(np.arange(n))
    return Dataset.from_generator(lambda: iter(range(n)), length=n)


def values(dataset):
    return [np.asarray(element).tolist() for element in dataset]


# Each method as (what the dataset does, what a list does).
STEPS = {
    "take": lambda k: (lambda d: d.take(k), lambda e: e[:k]),
    "skip": lambda k: (lambda d: d.skip(k), lambda e: e[k:]),
    "shard": lambda k: (lambda d: d.shard(k + 2, k), lambda e: e[k :: k + 2]),
    "repeat": lambda k: (lambda d: d.repeat(k), lambda e: e * k),
    "concatenate": lambda k: (lambda d: d.concatenate(d.skip(k)), lambda e: e + e[k:]),
    "map": lambda k: (lambda d: d.map(lambda i: i + k), lambda e: [i + k for i in e]),
    "cache": lambda k: (lambda d: d.cache(), lambda e: e),
    "prefetch": lambda k: (lambda d: d.prefetch(k + 1), lambda e: e),
}
steps = st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 5)), max_size=5)


@given(n=st.integers(1, 12), as_rows=st.booleans(), chain=steps, size=st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_chains_do_what_lists_do_and_know_their_length(n, as_rows, chain, size):
    dataset, expected = numbers(n, as_rows), list(range(n))
    for name, k in chain:
        of_dataset, of_list = STEPS[name](k)
        dataset, expected = of_dataset(dataset), of_list(expected)
    for _ in range(2):
        assert values(dataset) == expected
    assert len(dataset) == dataset.cardinality() == len(expected)
    batches = [expected[i : i + size] for i in range(0, len(expected), size)]
    assert values(dataset.batch(size)) == batches
    assert len(dataset.batch(size)) == len(batches)
    full = [batch for batch in batches if len(batch) == size]
    assert values(dataset.batch(size, drop_remainder=True)) == full
    assert len(dataset.batch(size, drop_remainder=True)) == len(full)
    assert values(dataset.batch(size).unbatch()) == expected


def test_filter_enumerate_and_range():
    odd = Dataset.range(1, 10, 2).filter(lambda i: i != 5)
    assert list(odd) == [1, 3, 7, 9]
    assert list(odd.enumerate(start=2)) == [(2, 1), (3, 3), (4, 7), (5, 9)]
    assert list(odd.enumerate().filter(lambda i, element: i % 2 == 0)) == [(0, 1), (2, 7)]
    assert len(Dataset.range(10, 0, -3)) == 4


def test_zip_follows_the_nesting_and_the_shortest():
    a, b = Dataset.range(4), Dataset.range(10, 13)
    expected = [(0, 10), (1, 11), (2, 12)]
    assert list(Dataset.zip(a, b)) == list(Dataset.zip((a, b))) == expected
    assert len(Dataset.zip(a, b)) == 3
    nested = Dataset.zip({"x": a, "rest": (b, a.repeat())})
    assert list(nested)[1] == {"x": 1, "rest": (11, 1)}
    assert len(nested) == 3


def test_map_gives_tuples_as_arguments_and_dicts_as_one():
    x, y = np.arange(3), np.arange(3) * 10
    assert values(Dataset.from_tensor_slices((x, y)).map(lambda x, y: x + y)) == [0, 11, 22]
    pairs = Dataset.from_tensor_slices({"x": x, "y": y}).map(lambda e: (e["x"], e["y"]))
    assert [(int(a), int(b)) for a, b in pairs] == [(0, 0), (1, 10), (2, 20)]


def test_elements_nest_and_keep_their_kinds():
    Pair = namedtuple("Pair", "image label")
    rows = Pair(
        {"a": np.zeros((5, 2, 3), np.float32), "b": (np.arange(5, dtype=np.uint8),)}, "abcde"
    )
    rows = rows._replace(label=np.array(list(rows.label)))
    for dataset in (
        Dataset.from_tensor_slices(rows).batch(2),
        Dataset.from_tensor_slices(rows).map(lambda image, label: Pair(image, label)).batch(2),
    ):
        first = next(iter(dataset))
        assert isinstance(first, Pair)
        assert first.image["a"].shape == (2, 2, 3)
        assert first.image["a"].dtype == np.float32
        assert first.image["b"][0].tolist() == [0, 1]
        assert first.image["b"][0].dtype == np.uint8
        assert first.label.tolist() == ["a", "b"]


def test_whole_batches_are_the_stacked_elements():
    rng = np.random.default_rng(0)
    data = {"image": rng.random((50, 4, 4, 1)), "label": rng.integers(0, 10, 50)}
    fast = Dataset.from_tensor_slices(data).shuffle(20, seed=3).repeat(2).batch(8)
    slow = Dataset.from_tensor_slices(data).map(lambda e: e).shuffle(20, seed=3).repeat(2).batch(8)
    pairs = list(zip(fast, slow, strict=True))
    assert len(pairs) == 13
    for a, b in pairs:
        np.testing.assert_array_equal(a["image"], b["image"])
        np.testing.assert_array_equal(a["label"], b["label"])


# -- shuffle ----------------------------------------------------------------------------------


@pytest.mark.parametrize("as_rows", [True, False])
def test_shuffle_repeats_given_a_seed_and_differs_each_epoch(as_rows):
    def epochs(seed, **kwargs):
        dataset = numbers(50, as_rows).shuffle(50, seed=seed, **kwargs)
        return [values(dataset) for _ in range(3)]

    first, second, third = epochs(1)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second != third != first
    assert epochs(1) == [first, second, third]
    assert epochs(2)[0] != first
    once, again, _ = epochs(1, reshuffle_each_iteration=False)
    assert once == again == first
    twice = values(numbers(50, as_rows).shuffle(50, seed=1).repeat(2))
    assert twice == first + second


def test_shuffle_without_a_seed_follows_the_global_one():
    def order():
        minicnn.random.set_seed(5)
        return values(Dataset.range(30).shuffle(30))

    assert order() == order()
    assert values(Dataset.range(30).shuffle(30)) != order()


def test_shuffle_draws_from_a_buffer():
    n, buffer_size = 3000, 10  # more draws than one block of random numbers
    order = values(Dataset.range(n).shuffle(buffer_size, seed=0))
    assert sorted(order) == list(range(n))
    assert order != list(range(n))
    # Element i is let in when i - buffer_size + 1 elements have gone out.
    assert all(element < place + buffer_size for place, element in enumerate(order))
    assert values(Dataset.range(9).shuffle(1, seed=0)) == list(range(9))


def test_a_full_buffer_makes_every_order_equally_likely():
    n, epochs = 4, 6000
    dataset = Dataset.range(n).shuffle(n, seed=0)
    orders = [tuple(values(dataset)) for _ in range(epochs)]
    counts = [orders.count(order) for order in set(orders)]
    assert len(counts) == math.factorial(n)
    mean = epochs / len(counts)
    chi_squared = sum((count - mean) ** 2 / mean for count in counts)
    assert chi_squared < 49.7  # 99.9 % of chi-squared with 23 degrees of freedom


def test_shuffle_is_lazy():
    seen = []
    dataset = Dataset.range(100).map(lambda i: seen.append(i) or i).shuffle(10, seed=0)
    assert seen == []
    assert len(list(islice(dataset, 3))) == 3
    assert seen == list(range(13))


# -- cache, generators, lengths ---------------------------------------------------------------


def test_cache_computes_once_and_only_complete_passes_count():
    calls = []
    dataset = Dataset.range(5).map(lambda i: calls.append(i) or i * i).cache()
    assert list(islice(dataset, 2)) == [0, 1]
    for _ in range(3):
        assert list(dataset) == [0, 1, 4, 9, 16]
    assert calls == [0, 1, 0, 1, 2, 3, 4]  # a pass left early, then a whole one
    empty = Dataset.range(0).map(lambda i: calls.append(i)).cache()
    assert list(empty) == list(empty) == []


def test_arrays_that_a_dataset_holds_are_read_only_and_batches_are_not():
    x = np.zeros((4, 2))
    dataset = Dataset.from_tensor_slices(x)
    for held in (dataset, dataset.map(lambda e: e + 1).cache()):
        for _ in range(2):
            element = next(iter(held))
            with pytest.raises(ValueError, match="read-only"):
                element += 1
            list(held)
        batch = next(iter(held.batch(3)))
        batch += 7
    assert np.all(x == 0)
    x[0] = 1  # the caller may still write to the array
    assert next(iter(dataset)).tolist() == [1, 1]


def test_from_generator_reads_anew_in_each_epoch():
    started = []

    def generator():
        started.append(1)
        yield from range(3)

    dataset = Dataset.from_generator(generator)
    assert not started
    assert list(dataset) == list(dataset) == [0, 1, 2]
    assert len(started) == 2
    assert dataset.cardinality() == UNKNOWN_CARDINALITY


@pytest.mark.parametrize("length", [2, 4])
def test_from_generator_checks_the_length(length):
    dataset = Dataset.from_generator(lambda: range(3), length=length)
    with pytest.raises(ValueError, match=f"length={length}"):
        list(dataset)


@pytest.mark.parametrize(
    ("dataset", "cardinality", "match"),
    [
        (Dataset.range(3).filter(bool), UNKNOWN_CARDINALITY, "unknown"),
        (Dataset.range(3).batch(2).unbatch(), UNKNOWN_CARDINALITY, "unknown"),
        (Dataset.range(3).filter(bool).batch(2).take(1), UNKNOWN_CARDINALITY, "unknown"),
        (Dataset.range(3).repeat(), INFINITE_CARDINALITY, "infinite"),
        (Dataset.range(3).repeat(-1).shard(2, 1).batch(5), INFINITE_CARDINALITY, "infinite"),
        (Dataset.range(3).repeat().skip(7), INFINITE_CARDINALITY, "infinite"),
    ],
)
def test_length_where_it_is_not_known(dataset, cardinality, match):
    assert dataset.cardinality() == cardinality
    assert match in repr(dataset)
    assert bool(dataset)
    with pytest.raises(TypeError, match=match):
        len(dataset)


def test_infinite_ones_can_be_cut():
    endless = Dataset.range(3).repeat()
    assert len(endless.take(7)) == 7
    assert list(endless.skip(1).take(4)) == [1, 2, 0, 1]
    assert list(endless.batch(2).take(2))[1].tolist() == [2, 0]
    assert list(Dataset.range(0).repeat()) == []


def test_iterations_do_not_disturb_each_other():
    dataset = Dataset.range(3).cache()
    assert [(a, b) for a in dataset for b in dataset] == [
        (a, b) for a in range(3) for b in range(3)
    ]


# -- the course's pipeline --------------------------------------------------------------------


@pytest.mark.parametrize("threads", [None, AUTOTUNE])
def test_the_course_pipeline(threads):
    n, n_test = 50_000, 10_000
    labels = np.arange(n)
    train = Dataset.from_tensor_slices({"image": np.zeros((n, 2, 2, 3), np.uint8), "label": labels})
    test = Dataset.from_tensor_slices(
        {"image": np.ones((n_test, 2, 2, 3)), "label": labels[:n_test]}
    )

    def normalize(element):
        return np.float32(element["image"]) / 255, np.eye(10)[element["label"] % 10]

    def pipeline(dataset):
        return dataset.map(normalize, num_parallel_calls=threads).cache()

    validation = train.shard(10, 9)
    rest = train.shard(10, 0)
    for index in range(1, 9):
        rest = rest.concatenate(train.shard(10, index))
    assert (len(rest), len(validation), len(test)) == (45_000, 5_000, 10_000)
    seen = [int(element["label"]) for element in rest]
    assert sorted(seen) == [i for i in range(n) if i % 10 != 9]

    batches = [
        pipeline(rest.take(640)).shuffle(640).batch(64).prefetch(AUTOTUNE),
        pipeline(rest).shuffle(1000).batch(64).prefetch(AUTOTUNE),
        pipeline(validation).batch(64).prefetch(AUTOTUNE),
        pipeline(test).batch(64).prefetch(AUTOTUNE),
    ]
    assert [len(dataset) for dataset in batches] == [10, 704, 79, 157]
    iterator = batches[2].as_numpy_iterator()
    images, targets = iterator.next()
    assert images.shape == (64, 2, 2, 3)
    assert images.dtype == np.float32
    np.testing.assert_array_equal(targets, np.tile(np.eye(10)[9], (64, 1)))
    assert next(iterator)[0].shape == (64, 2, 2, 3)
    assert [y.shape for _, y in batches[0]] == [(64, 10)] * 10
    assert sum(len(x) for x, _ in batches[2]) == 5_000


def test_as_numpy_iterator_gives_arrays_and_numbers():
    dataset = Dataset.range(3).map(lambda i: {"n": i, "list": [i, i], "deep": (np.float32(i),)})
    iterator = dataset.as_numpy_iterator()
    element = iterator.next()
    assert isinstance(element["n"], np.integer)
    assert element["list"].tolist() == [0, 0]
    assert element["deep"][0].dtype == np.float32
    assert len(list(iterator)) == 2
    with pytest.raises(StopIteration):
        iterator.next()


# -- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "error", "match"),
    [
        (lambda d: d.batch(0), ValueError, "batch_size: expected at least 1, got 0"),
        (lambda d: d.batch(2.5), TypeError, "batch_size: expected an int, got 2.5"),
        (lambda d: d.batch(True), TypeError, "batch_size: expected an int, got True"),
        (lambda d: d.shuffle(0), ValueError, "buffer_size: expected at least 1, got 0"),
        (lambda d: d.shuffle(3, seed=-1), ValueError, "seed"),
        (lambda d: d.prefetch(0), ValueError, "buffer_size: expected at least 1"),
        (lambda d: d.shard(10, 10), ValueError, "index: expected 0 to num_shards - 1 = 9, got 10"),
        (lambda d: d.shard(0, 0), ValueError, "num_shards: expected at least 1"),
        (lambda d: d.shard(2, -1), ValueError, "index: expected at least 0"),
        (lambda d: d.take(-1), ValueError, "count: expected at least 0"),
        (lambda d: d.skip("all"), TypeError, "count: expected an int, got 'all'"),
        (lambda d: d.repeat(-2), ValueError, "count: expected at least 0"),
        (lambda d: d.map(3), TypeError, "map_func: expected a function, got 3"),
        (lambda d: d.map(abs, 0), ValueError, "num_parallel_calls: expected at least 1"),
        (lambda d: d.filter(None), TypeError, "predicate: expected a function"),
        (lambda d: d.concatenate([1]), TypeError, "dataset: expected a Dataset"),
        (lambda d: Dataset.zip(d, [1]), TypeError, "datasets: expected datasets"),
        (lambda d: Dataset.zip(), TypeError, "datasets: expected datasets"),
        (lambda d: Dataset.from_generator(iter([1])), TypeError, "read only once"),
        (lambda d: Dataset.from_generator(list, length=-1), ValueError, "length"),
        (
            lambda d: Dataset.from_tensor_slices((np.zeros((3, 2)), np.zeros(4))),
            ValueError,
            r"equally long, got shapes \[\(3, 2\), \(4,\)\]",
        ),
        (lambda d: Dataset.from_tensor_slices(5), ValueError, "scalar"),
        (lambda d: Dataset.from_tensor_slices({}), ValueError, "at least one array"),
        (lambda d: list(d.unbatch()), ValueError, "unbatch: a scalar"),
    ],
)
def test_wrong_arguments(wrong, error, match):
    with pytest.raises(error, match=match):
        wrong(Dataset.range(4))


def test_elements_that_do_not_stack():
    shapes = Dataset.range(1, 4).map(lambda i: np.zeros((i, 2)))
    with pytest.raises(ValueError, match=r"same shape .* \[\(1, 2\), \(2, 2\), \(3, 2\)\]"):
        list(shapes.batch(3))
    kinds = Dataset.range(2).map(lambda i: {"x": i} if i else (i, i))
    with pytest.raises(ValueError, match=r"structure: \(\.\.\., \.\.\.\) and \{'x': \.\.\.\}"):
        list(kinds.batch(2))


def test_a_stop_iteration_in_a_mapped_function_does_not_cut_the_data_short():
    for threads in (None, 2):
        dataset = Dataset.range(3).map(lambda i: next(iter([])), num_parallel_calls=threads)
        with pytest.raises(RuntimeError, match="StopIteration"):
            list(dataset)
