"""The targets of the C backend, and its options."""

from __future__ import annotations

from ..target import Option, Target, register_backend, register_target

OPTIONS = (
    Option(
        "weights",
        "where weights lie: array (const C arrays), blob (a binary file the assembler includes), "
        "load (handed over at run time)",
        "array",
        ("array", "blob", "load"),
    ),
    Option(
        "arena",
        "where activations lie: caller (passed to run), static (in the model's own memory)",
        "caller",
        ("caller", "static"),
    ),
    Option(
        "winograd",
        "convolutions by 3 x 3 with fewer products than taps: auto (where that takes less time), "
        "off (every product as it is defined; results are a little closer to exact ones)",
        "auto",
        ("auto", "off"),
        {"off": {"without": "winograd_conv"}},
    ),
    Option(
        "threads",
        "how many threads compute large kernels together; 1: no thread but the caller's",
        1,
        limits=(1, 256),
    ),
    Option(
        "files",
        "how many C files kernels are spread over, to compile several at a time; 0: by their size",
        1,
        limits=(0, 256),
    ),
    Option(
        "profile",
        "whether each step of the model is followed by a call of the macro NAME_STEP(number)",
        False,
    ),
)
register_backend("c", OPTIONS)

COMMON_FLAGS = ("-std=c99", "-ffp-contract=off")
"""Contraction into fused multiply-adds would make results depend on the machine."""

_HOST_COMPILERS = ("cc", "gcc", "clang")
_ARM = ("arm-none-eabi-gcc",)
_HOST_FLAGS = (*COMMON_FLAGS, "-O3", "-fno-math-errno", "-fno-trapping-math")
"""GCC before 13 vectorizes loops over products well from -O3 on only."""


def _host(name: str, doc: str, *flags: str, isa: str = "") -> None:
    register_target(
        Target(
            name,
            "c",
            doc,
            _HOST_COMPILERS,
            (*_HOST_FLAGS, *flags),
            host=True,
            isa=isa,
            threads=True,
            defaults={"weights": "blob", "files": 0},
        )
    )


def _bare(
    name: str, doc: str, compilers: tuple[str, ...], *flags: str, word: int = 32,
    alignment: int = 8, isa: str = "scalar", threads: bool = False,
) -> None:  # fmt: skip
    all_flags = (*COMMON_FLAGS, "-O2", *flags)
    register_target(
        Target(name, "c", doc, compilers, all_flags, word, alignment, isa=isa, threads=threads)
    )


_host("c", "the machine burnish runs on", "-march=native", isa="native")
_host("c:x86-64-v3", "64-bit x86 with AVX2 and FMA", "-march=x86-64-v3", isa="avx2")
_bare(
    "c:aarch64",
    "64-bit ARM with NEON",
    ("aarch64-linux-gnu-gcc", "cc"),
    "-march=armv8-a",
    word=64,
    alignment=64,
    isa="neon",
    threads=True,
)
_host("c:generic", "any C99 compiler", isa="scalar")
_bare(
    "c:cortex-m4",
    "ARM Cortex-M4 with single-precision FPU",
    _ARM,
    "-mcpu=cortex-m4",
    "-mthumb",
    "-mfloat-abi=hard",
    "-mfpu=fpv4-sp-d16",
)
_bare(
    "c:cortex-m7",
    "ARM Cortex-M7 with double-precision FPU",
    _ARM,
    "-mcpu=cortex-m7",
    "-mthumb",
    "-mfloat-abi=hard",
    "-mfpu=fpv5-d16",
)
_bare(
    "c:cortex-m55",
    "ARM Cortex-M55 with vector extension (MVE)",
    _ARM,
    "-mcpu=cortex-m55",
    "-mthumb",
    "-mfloat-abi=hard",
    alignment=16,
)
_bare(
    "c:rv32imc",
    "32-bit RISC-V without FPU",
    ("riscv32-unknown-elf-gcc", "riscv64-unknown-elf-gcc"),
    "-march=rv32imc",
    "-mabi=ilp32",
)
