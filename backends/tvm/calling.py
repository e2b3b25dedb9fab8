"""C that gives an emitted model the calling convention of TVM's functions.

What is added to ``NAME.c`` defines ``__tvm_ffi_NAME_run``, which a Relax function calls as
``"NAME_run"`` with tensors: the inputs, then the outputs, then working memory if the model needs
more of it than a stack has.  Sizes of dynamic dimensions come first, as a shape; those that the
model finds come behind the outputs, in a tensor of ``int64``.  It is compiled with the headers of
the installed TVM (``tvm/ffi/c_api.h``), whose structs it reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..c.host import RUN_ERRORS
from ..c.names import string_literal

ERROR_MARK = "burnish: the model stopped: "
"""What errors of emitted C begin with when TVM raises them."""

STACK_BYTES = 1 << 16
"""Working memory up to this size lies on the stack: to have TVM allocate it would take longer than
the smallest models do."""


def working_bytes(manifest: Mapping[str, Any]) -> int:
    """How large the tensor of working memory is that a model gets; 0 if it gets none.

    TVM promises no alignment: there is room to begin at a multiple of what is needed.
    """
    arena = int(manifest["arena_bytes"])
    return arena + int(manifest["alignment"]) if arena > STACK_BYTES else 0


def calling_text(manifest: Mapping[str, Any]) -> str:
    """What follows in ``NAME.c``, for a model of the C backend, known by its manifest."""
    name = manifest["name"]
    lines = [*_declarations(manifest), *_arguments(manifest), *_results(manifest)]
    body = "".join(f"    {line}\n" for line in lines)
    messages = "".join(
        f"    {string_literal(ERROR_MARK + text)},\n" for _, text in sorted(RUN_ERRORS.items())
    )
    return f"""
/* The model {name} as a function of TVM. */

#include <tvm/ffi/c_api.h>

static const char *const tvm_messages[] = {{
{messages}}};

{_HELPERS}{_SHAPES if manifest.get("sizes") else ""}
TVM_FFI_DLL_EXPORT int __tvm_ffi_{name}_run(
    void *handle, const TVMFFIAny *args, int32_t count, TVMFFIAny *result)
{{
{body}}}
"""


def _places(manifest: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Where the inputs begin, the outputs, and what follows them; how many arguments there are."""
    inputs = 1 if manifest.get("sizes") else 0
    outputs = inputs + len(manifest["inputs"])
    last = outputs + len(manifest["outputs"])
    more = bool(found_sizes(manifest)) + (working_bytes(manifest) > 0)
    return inputs, outputs, last, last + more


def found_sizes(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The sizes that a model finds during its run, in the order of the tensor it writes them to."""
    return [entry for entry in manifest.get("sizes", ()) if not entry["input"]]


def _declarations(manifest: Mapping[str, Any]) -> Iterator[str]:
    name, macro = manifest["name"], manifest["name"].upper()
    *_, count = _places(manifest)
    yield f"const void *inputs[{len(manifest['inputs'])} + 1];"
    yield f"void *outputs[{len(manifest['outputs'])} + 1];"
    arena = manifest["arena_bytes"]
    on_stack = f"{macro}_ALIGNED unsigned char arena[{arena}];"
    yield on_stack if 0 < arena <= STACK_BYTES else "void *arena = NULL;"
    if manifest.get("sizes"):
        yield f"struct {name}_sizes sizes;"
        yield "ptrdiff_t shape[64];"
    yield "int status, i;"
    yield "(void)handle;"
    yield f"if (count != {count}) {{"
    yield f'    return tvm_failure("{name}_run takes {count} arguments");'
    yield "}"


def _arguments(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Statements that take inputs, outputs, sizes and the arena from the arguments."""
    name, macro = manifest["name"], manifest["name"].upper()
    inputs, outputs, last, count = _places(manifest)
    if manifest.get("sizes"):
        yield "memset(&sizes, 0, sizeof sizes);"
        known = (entry for entry in manifest["sizes"] if entry["input"])
        for i, entry in enumerate(known):
            yield f"sizes.{entry['member']} = (ptrdiff_t)tvm_shape_of(&args[0])[{i}];"
        for i in range(len(manifest["inputs"])):
            yield f"{name}_input_{i}_shape(&sizes, shape);"
            yield f"if (!tvm_has_shape(tvm_tensor_of(&args[{inputs + i}]), shape)) {{"
            yield "    return tvm_failure(tvm_messages[4]);"
            yield "}"
    yield f"for (i = 0; i < {len(manifest['inputs'])}; i++) {{"
    yield f"    const DLTensor *tensor = tvm_tensor_of(&args[{inputs} + i]);"
    yield "    if (!tvm_is_dense(tensor)) {"
    yield f'        return tvm_failure("{name}_run takes tensors that are dense");'
    yield "    }"
    yield "    inputs[i] = tvm_data_of(tensor);"
    yield "}"
    yield f"for (i = 0; i < {last - outputs}; i++) {{"
    yield f"    outputs[i] = tvm_data_of(tvm_tensor_of(&args[{outputs} + i]));"
    yield "}"
    if working_bytes(manifest):
        yield f"arena = tvm_data_of(tvm_tensor_of(&args[{count - 1}]));"
        yield f"arena = (char *)arena + (-(uintptr_t)arena & ({macro}_ARENA_ALIGNMENT - 1));"


def _results(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Statements that run the model, and say how that went."""
    name, macro = manifest["name"], manifest["name"].upper()
    _, _, last, _ = _places(manifest)
    sizes = ", &sizes" if manifest.get("sizes") else ""
    yield f"status = {name}_run(inputs, outputs, arena{sizes});"
    yield f"if (status != {macro}_OK) {{"
    yield "    return tvm_failure(tvm_messages[status - 1]);"
    yield "}"
    found = f"((int64_t *)tvm_data_of(tvm_tensor_of(&args[{last}])))"
    for i, entry in enumerate(found_sizes(manifest)):
        yield f"{found}[{i}] = sizes.{entry['member']};"
    yield "result->type_index = kTVMFFINone;"
    yield "result->zero_padding = 0;"
    yield "result->v_int64 = 0;"
    yield "return 0;"


_HELPERS = """static int tvm_failure(const char *message)
{
    TVMFFIErrorSetRaisedFromCStr("RuntimeError", message);
    return -1;
}

static const DLTensor *tvm_tensor_of(const TVMFFIAny *argument)
{
    if (argument->type_index == kTVMFFIDLTensorPtr) {
        return (const DLTensor *)argument->v_ptr;
    }
    return (const DLTensor *)((const char *)argument->v_obj + sizeof(TVMFFIObject));
}

static void *tvm_data_of(const DLTensor *tensor)
{
    return (char *)tensor->data + tensor->byte_offset;
}

/* Whether elements lie row by row, without gaps. */
static int tvm_is_dense(const DLTensor *tensor)
{
    int64_t step = 1, elements = 1;
    int axis;
    for (axis = 0; axis < tensor->ndim; axis++) {
        elements *= tensor->shape[axis];
    }
    for (axis = tensor->ndim - 1; tensor->strides != NULL && axis >= 0; axis--) {
        if (elements != 0 && tensor->shape[axis] != 1 && tensor->strides[axis] != step) {
            return 0;
        }
        step *= tensor->shape[axis];
    }
    return 1;
}
"""

_SHAPES = """
static const int64_t *tvm_shape_of(const TVMFFIAny *argument)
{
    const char *shape = (const char *)argument->v_obj + sizeof(TVMFFIObject);
    return ((const TVMFFIShapeCell *)shape)->data;
}

static int tvm_has_shape(const DLTensor *tensor, const ptrdiff_t *shape)
{
    int axis;
    for (axis = 0; axis < tensor->ndim; axis++) {
        if (tensor->shape[axis] != shape[axis]) {
            return 0;
        }
    }
    return 1;
}
"""
