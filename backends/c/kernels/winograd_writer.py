"""Writing convolutions by Winograd's filtering, with vectors of channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from burnish.ir import DType

from ..code import Expr, binary, index
from ..vectors import VectorRenderer
from .blocked import flat
from .buffer import Buffer
from .builder import KernelBuilder
from .packed_products import ProductWriter, Total
from .strided import static
from .vector_store import VectorStore
from .windows import minimum
from .winograd_shape import WinogradShape
from .winograd_tiles import TransformWriter


class WinogradWriter:
    """Writes one kernel: chunk by chunk, all tiles in, products, all tiles out."""

    def __init__(self, k: KernelBuilder, shape: WinogradShape) -> None:
        self.k, self.shape, self.lanes = k, shape, shape.lanes
        self.vectors = VectorRenderer(self.lanes, k.helper)
        self.transform = TransformWriter(k, shape.filtering)
        self.x, self.b = flat(k.operand("x")), k.optional("b")
        elements = shape.products * shape.blocks * shape.inputs.planes * self.lanes**2
        self.w = Buffer(k.operand("w").pointer, (elements,), DType.F32)
        self.store = VectorStore(k, self.vectors)
        size, room = shape.filtering.size, shape.products * shape.slots * self.lanes
        self.factors = k.scratch("factors", DType.F32, (shape.inputs.planes * room,))
        self.products = k.scratch("products", DType.F32, (shape.blocks * room,))
        self.half = k.scratch("half", DType.F32, (size, size, self.lanes))

    def emit(self) -> None:
        k, shape = self.k, self.shape
        with k.loop("first", shape.tiles, step=shape.chunk, parallel=True) as first:
            count = index(shape.chunk)
            if shape.tiles % shape.chunk:
                count = k.let_index("count", minimum(shape.chunk, shape.tiles - first))
            self._transform_input(first, count)
            self._multiply()
            self._transform_output(first, count)

    @contextmanager
    def _tiles(self, first: Expr, count: Expr) -> Iterator[tuple[Expr, Expr, Expr, Expr]]:
        """A loop over the tiles of a chunk: which one, its image, its row and its column."""
        k = self.k
        rows, columns = self.shape.counts
        with k.loop("t", count) as t:
            tile = k.let_index("tile", first + t)
            image = k.let_index("n", tile // (rows * columns)) if self.shape.batch > 1 else index(0)
            row = k.let_index("row", (tile - image * (rows * columns)) // columns)
            yield t, image, row, k.let_index("column", tile % columns)

    def _at(self, buffer: Buffer, block: Expr, product: Expr, t: Expr) -> Expr:
        """Where the vector of a tile lies in ``factors`` or ``products``."""
        shape = self.shape
        return buffer.at([((block * shape.products + product) * shape.slots + t) * self.lanes])

    def _transform_input(self, first: Expr, count: Expr) -> None:
        """``factors``: B x B' of each tile, first along rows, then along columns."""
        k, shape, size = self.k, self.shape, self.shape.filtering.size
        k.comment("What tiles meet, transformed along rows, then along columns.")
        with k.loop("c", shape.inputs.planes) as c, self._tiles(first, count) as tile:
            t, image, row, column = tile
            plane = image * shape.inputs.image + c * shape.inputs.plane
            y = k.let_index("y", row * shape.filtering.outputs - shape.axes[0].before)
            x = k.let_index("x", column * shape.filtering.outputs - shape.axes[1].before)
            self._rows(k.view("plane", self.x, plane, self.x.shape), y, x, column)
            with k.loop("j", size) as j:
                halves = [self._vector("h", self.half.at([i, j, 0])) for i in range(size)]
                for i, value in enumerate(self.transform.elements(halves)):
                    place = self._at(self.factors, c, i * size + j, t)
                    k.statement(self.vectors.store(place, value))

    def _vector(self, name: str, place: Expr) -> Expr:
        return self.k.declare(f"const {self.vectors.type}", name, self.vectors.load(place))

    def _rows(self, plane: Buffer, y: Expr, x: Expr, column: Expr) -> None:
        """``half``: B times the rows that a tile meets, where zeros are left out."""
        k, size = self.k, self.shape.filtering.size
        height, width = (static([axis.size])[0] for axis in self.shape.axes)

        def row(i: Expr, met: range) -> None:
            places = {j: plane.at([((y + i) * width + (x + j)) * self.lanes]) for j in met}
            elements = [self._vector("x", places[j]) if j in places else None for j in range(size)]
            for j, value in enumerate(self.transform.elements(elements)):
                k.statement(self.vectors.store(self.half.at([i, j, 0]), value))

        def rows(met: range) -> None:
            with k.loop("i", size) as i:
                is_inside = (index(0) <= y + i) & (y + i < height)
                with k.branch(is_inside) as (yes, no):
                    with yes:
                        row(i, met)
                    with no:
                        row(i, range(0))

        self._by_column(column, self._met(width), rows)

    def _met(self, width: int) -> list[tuple[int, range]]:
        """Runs of columns of tiles, each with its end, and the elements of a row that they meet."""
        outputs, size = self.shape.filtering.outputs, self.shape.filtering.size
        runs: list[tuple[int, range]] = []
        for column in range(self.shape.counts[1]):
            start = column * outputs - self.shape.axes[1].before
            met = range(min(size, max(0, -start)), max(0, min(size, width - start)))
            if runs and runs[-1][1] == met:
                runs.pop()
            runs.append((column + 1, met))
        return runs

    def _by_column(
        self, column: Expr, runs: Sequence[tuple[int, range]], write: Callable[[range], None]
    ) -> None:
        """Tell the runs of columns apart."""
        (end, met), *others = runs
        if not others:
            write(met)
            return
        with self.k.branch(column < end) as (yes, no):
            with yes:
                write(met)
            with no:
                self._by_column(column, others, write)

    def _multiply(self) -> None:
        """``products``: for each point the sums over channels, of all tiles of the chunk."""
        k, shape = self.k, self.shape
        product = shape.product()
        weights = shape.blocks * shape.inputs.planes * self.lanes**2
        k.comment("For each point the sums over channels.")
        with k.loop("p", shape.products) as p:
            factors = k.view("x", self.factors, p * (shape.slots * self.lanes), self.factors.shape)
            packed = k.view("u", self.w, p * weights, self.w.shape)

            def finish(totals: Sequence[Total]) -> None:
                for total in totals:
                    place = self._at(self.products, total.block, p, total.windows[0])
                    k.statement(self.vectors.store(place, total.value))

            total = 4 * shape.products * weights
            ProductWriter(k, product, factors, packed, None, finish, weights=total).emit()

    def _transform_output(self, first: Expr, count: Expr) -> None:
        """A m A' of each tile, first along columns, then along rows, finished and stored."""
        k, shape = self.k, self.shape
        size, outputs = shape.filtering.size, shape.filtering.outputs
        height, width = shape.results
        k.comment("The results of tiles, transformed along columns, then along rows.")
        with k.loop("m", shape.blocks) as m:
            bias = self._vector("bias", flat(self.b).at([m * self.lanes])) if self.b else None
            with self._tiles(first, count) as (t, image, row, column):
                with k.loop("j", size) as j:
                    places = [self._at(self.products, m, i * size + j, t) for i in range(size)]
                    values = [self._vector("p", place) for place in places]
                    for i, value in enumerate(self.transform.outputs(values)):
                        k.statement(self.vectors.store(self.half.at([i, j, 0]), value))
                y = k.let_index("y", row * outputs)
                x = k.let_index("x", column * outputs)
                end = index(outputs)
                if height % outputs:
                    end = k.let_index("end", minimum(outputs, height - y))

                def rows(met: range) -> None:
                    with k.loop("i", end) as i:
                        halves = [self._vector("h", self.half.at([i, j, 0])) for j in range(size)]
                        found = self.transform.outputs(halves)
                        for j in met:
                            total = found[j] if bias is None else binary("+", found[j], bias)
                            self.store.store([image, m, y + i, x + j, 0], total)

                whole = width // outputs
                runs = [(whole, range(outputs))] if whole else []
                if width % outputs:
                    runs.append((whole + 1, range(width % outputs)))
                self._by_column(column, runs, rows)
