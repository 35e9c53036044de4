"""The drawing of a link graph: no boxes on top of each other, always the same."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from cases.graph_layout import lay_out


@st.composite
def graphs(draw):
    sizes = draw(st.lists(st.integers(0, 12), min_size=1, max_size=6))
    columns = [[f"{i}.{j}" for j in range(size)] for i, size in enumerate(sizes)]
    keys = [key for column in columns for key in column] + ["nowhere"]
    edges = draw(st.lists(st.tuples(st.sampled_from(keys), st.sampled_from(keys)), max_size=40))
    return columns, edges


@given(graphs())
def test_boxes_never_overlap_and_stay_inside(graph):
    columns, edges = graph
    layout = lay_out(columns, edges)
    assert len(layout.boxes) == sum(map(len, columns))
    for box in layout.boxes.values():
        assert box.x >= 0 and box.right <= layout.width
        assert box.y >= 0 and box.y + box.height <= layout.height
    for a, b in combinations(layout.boxes.values(), 2):
        assert a.right <= b.x or b.right <= a.x or abs(a.y - b.y) >= a.height


@given(graphs())
def test_the_same_graph_is_drawn_the_same(graph):
    assert lay_out(*graph) == lay_out(*graph)


@given(graphs())
def test_an_edge_is_drawn_for_each_pair_that_is_there(graph):
    columns, edges = graph
    there = {key for column in columns for key in column}
    drawn = [edge for edge in edges if set(edge) <= there]
    assert len(lay_out(columns, edges).curves) == len(drawn)


def test_boxes_stand_beside_what_they_hang_on():
    columns = [["a"], ["x", "y"], ["of y", "of x"]]
    boxes = lay_out(columns, [("a", "x"), ("a", "y"), ("x", "of x"), ("y", "of y")]).boxes
    assert boxes["of x"].y == boxes["x"].y < boxes["of y"].y == boxes["y"].y
