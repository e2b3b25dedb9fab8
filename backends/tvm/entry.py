"""C that makes an emitted model a function which needs no virtual machine.

What is added to ``NAME.c`` defines ``__tvm_ffi_NAME``, the function ``NAME`` of the library: it
takes and gives what ``main`` of the Relax module does, but checks its inputs and allocates its
results itself.  TVM's virtual machine does that by instructions of its own, which take longer than
the smallest models.  Tensors that follow the inputs are written the results to; then nothing is
returned.  It is there for models that are C as a whole, and whose shapes are all known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from burnish.ir import DType
from burnish.ir.errors import clip

from ..c.names import string_literal
from .calling import STACK_BYTES
from .storage import dlpack_type, relax_dtype

_KINDS = ("inputs", "outputs")


def has_entry(manifest: Mapping[str, Any]) -> bool:
    """Whether a model of the C backend, known by its manifest, can be such a function."""
    return not manifest.get("sizes")


def entry_text(manifest: Mapping[str, Any]) -> str:
    """What follows the text of :func:`~.calling.calling_text`."""
    name, macro = manifest["name"], manifest["name"].upper()
    memory = _ON_STACK if manifest["arena_bytes"] <= STACK_BYTES else _KEPT
    one = len(manifest["outputs"]) == 1
    return (
        f"\n/* The model {name} as a function of TVM that allocates its results. */\n\n"
        "#include <stdio.h>\n#include <stdlib.h>\n\n"
        + "".join(f"#define TVM_{kind.upper()} {len(manifest[kind])}\n" for kind in _KINDS)
        + _tables(manifest)
        + _CHECKS
        + _RESULTS
        + memory.replace("@NAME", name).replace("@MACRO", macro)
        + (_ONE if one else _SEVERAL)
        + _ENTRY.replace("@NAME", name)
    )


def _tables(manifest: Mapping[str, Any]) -> str:
    """What inputs and outputs have to be, and are; NULL ends each table."""
    entries = [*manifest["inputs"], *manifest["outputs"]]
    rank = max([1, *(len(entry["shape"]) for entry in entries)])
    tables = [_TYPE.replace("RANK", str(rank))]
    for kind in _KINDS:
        rows = "".join(f"    {_row(entry)},\n" for entry in manifest[kind])
        tables.append(
            f"static const struct tvm_type tvm_{kind}[] = {{\n{rows}"
            "    {NULL, NULL, {0, 0, 0}, 0, {0}, 0}\n};\n"
        )
    return "\n".join(["", *tables, ""])


def _row(entry: Mapping[str, Any]) -> str:
    """A tensor of the signature, as ``struct tvm_type``."""
    dtype, shape = DType.parse(entry["dtype"]), list(entry["shape"])
    code, bits = dlpack_type(dtype)
    name = string_literal(clip(entry["name"]))
    size = bits // 8 * math.prod(shape)
    axes = ", ".join(map(str, shape)) or "0"
    return (
        f'{{{name}, "{relax_dtype(dtype)}{shape}",\n'
        f"        {{{code}, {bits}, 1}}, {len(shape)}, {{{axes}}}, {size}}}"
    )


_TYPE = """struct tvm_type {
    const char *name, *text;
    DLDataType dtype;
    int32_t ndim;
    int64_t shape[RANK];
    size_t bytes;
};
"""

_CHECKS = """static int tvm_raise(const char *kind, const char *message)
{
    TVMFFIErrorSetRaisedFromCStr(kind, message);
    return -1;
}

static const char *tvm_type_name(DLDataType dtype)
{
    switch (dtype.code) {
    case kDLInt: return "int";
    case kDLUInt: return "uint";
    case kDLFloat: return "float";
    case kDLBfloat: return "bfloat";
    case kDLComplex: return "complex";
    case kDLBool: return "bool";
    default: return "type of bits ";
    }
}

/* Raise that a tensor has another type or shape than it must have. */
static int tvm_misfit(const struct tvm_type *type, const DLTensor *found)
{
    char text[1024];
    int axis, used = snprintf(text, sizeof text, "%s must be a tensor of %s, not %s", type->name,
        type->text, tvm_type_name(found->dtype));
    if (found->dtype.code != kDLBool) {
        used += snprintf(text + used, sizeof text - (size_t)used, "%d", found->dtype.bits);
    }
    if (found->dtype.lanes != 1) {
        used += snprintf(text + used, sizeof text - (size_t)used, "x%d", found->dtype.lanes);
    }
    used += snprintf(text + used, sizeof text - (size_t)used, "[");
    for (axis = 0; axis < found->ndim && used < (int)sizeof text - 32; axis++) {
        used += snprintf(text + used, sizeof text - (size_t)used, "%s%lld",
            axis == 0 ? "" : ", ", (long long)found->shape[axis]);
    }
    snprintf(text + used, sizeof text - (size_t)used, "]");
    return tvm_raise("ValueError", text);
}

/* Raise that an argument is no tensor, or not one that lies as it must. */
static int tvm_refuse(const char *kind, const struct tvm_type *type, const char *reason)
{
    char text[1024];
    snprintf(text, sizeof text, "%s must be a tensor of %s%s", type->name, type->text, reason);
    return tvm_raise(kind, text);
}

/* The elements of an argument that is what it must be: 0, or what was raised. */
static int tvm_take(const struct tvm_type *type, const TVMFFIAny *argument, const void **data)
{
    const DLTensor *tensor;
    int axis;
    if (argument->type_index != kTVMFFITensor && argument->type_index != kTVMFFIDLTensorPtr) {
        return tvm_refuse("TypeError", type, "");
    }
    tensor = tvm_tensor_of(argument);
    if (tensor->ndim != type->ndim || tensor->dtype.code != type->dtype.code
        || tensor->dtype.bits != type->dtype.bits || tensor->dtype.lanes != 1) {
        return tvm_misfit(type, tensor);
    }
    for (axis = 0; axis < type->ndim; axis++) {
        if (tensor->shape[axis] != type->shape[axis]) {
            return tvm_misfit(type, tensor);
        }
    }
    if (tensor->device.device_type != kDLCPU && tensor->device.device_type != kDLCUDAHost) {
        return tvm_refuse("ValueError", type, " in memory of the processor");
    }
    if (!tvm_is_dense(tensor)) {
        return tvm_refuse("ValueError", type, " that is dense");
    }
    *data = tvm_data_of(tensor);
    return 0;
}

static int tvm_overlap(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
    const uintptr_t first = (uintptr_t)a, second = (uintptr_t)b;
    return first < second + b_bytes && second < first + a_bytes && a_bytes != 0 && b_bytes != 0;
}
"""

_RESULTS = """
static int tvm_no_memory(const char *what)
{
    char text[1024];
    snprintf(text, sizeof text, "there is no memory for %s", what);
    return tvm_raise("MemoryError", text);
}

#define TVM_ALIGNMENT 64

/* A new tensor: it, its shape and strides, and its elements are one block of memory. What gives
 * that back is free, and no function of this library, which the tensor may outlive. */
static void *tvm_new_tensor(const struct tvm_type *type, TVMFFIAny *result)
{
    const size_t head = sizeof(DLManagedTensorVersioned) + 2 * sizeof type->shape;
    DLManagedTensorVersioned *managed = malloc(head + TVM_ALIGNMENT + type->bytes);
    int64_t *shape, step = 1;
    unsigned char *data;
    int axis;
    if (managed == NULL) {
        tvm_no_memory(type->name);
        return NULL;
    }
    memset(managed, 0, sizeof *managed);
    shape = (int64_t *)(managed + 1);
    data = (unsigned char *)managed + head;
    data += -(uintptr_t)data & (TVM_ALIGNMENT - 1);
    memcpy(shape, type->shape, sizeof type->shape);
    for (axis = type->ndim - 1; axis >= 0; axis--) {
        shape[type->ndim + axis] = step;
        step *= shape[axis];
    }
    managed->version.major = DLPACK_MAJOR_VERSION;
    managed->version.minor = DLPACK_MINOR_VERSION;
    managed->deleter = (void (*)(DLManagedTensorVersioned *))(void (*)(void))free;
    managed->dl_tensor.data = data;
    managed->dl_tensor.device.device_type = kDLCPU;
    managed->dl_tensor.ndim = type->ndim;
    managed->dl_tensor.dtype = type->dtype;
    managed->dl_tensor.shape = shape;
    managed->dl_tensor.strides = shape + type->ndim;
    memset(result, 0, sizeof *result);
    if (TVMFFITensorFromDLPackVersioned(managed, 0, 0, (TVMFFIObjectHandle *)&result->v_obj) != 0) {
        free(managed);
        return NULL;
    }
    result->type_index = kTVMFFITensor;
    return data;
}

static void tvm_release(TVMFFIAny *results, int count)
{
    while (count > 0) {
        TVMFFIObjectDecRef(results[--count].v_obj);
    }
}
"""

_ON_STACK = """
/* Run the model: its status, or -1 if something was raised. */
static int tvm_run(const void *const *inputs, void *const *outputs)
{
    @MACRO_ALIGNED unsigned char arena[@MACRO_ARENA_BYTES + 1];
    return @NAME_run(inputs, outputs, arena);
}
"""

_KEPT = """
/* Working memory that no call uses: the system hands out pages of new memory one fault at a time.
 * Of calls at a time, the first that ends keeps its own. */
static void *tvm_arena;

__attribute__((destructor)) static void tvm_free_arena(void)
{
    free(tvm_arena);
}

/* Run the model: its status, or -1 if something was raised. */
static int tvm_run(const void *const *inputs, void *const *outputs)
{
    unsigned char *memory = __atomic_exchange_n(&tvm_arena, NULL, __ATOMIC_ACQUIRE);
    int status;
    if (memory == NULL) {
        memory = malloc(@MACRO_ARENA_BYTES + @MACRO_ARENA_ALIGNMENT);
    }
    if (memory == NULL) {
        return tvm_no_memory("what the model works in");
    }
    status = @NAME_run(inputs, outputs,
        memory + (-(uintptr_t)memory & (@MACRO_ARENA_ALIGNMENT - 1)));
    free(__atomic_exchange_n(&tvm_arena, memory, __ATOMIC_ACQ_REL));
    return status;
}
"""

_ONE = """
static int tvm_hand_out(TVMFFIAny *results, TVMFFIAny *result)
{
    *result = results[0];
    return 0;
}
"""

_SEVERAL = """
/* TVM's function that makes arrays, looked up once: it is there as long as the process is. */
static TVMFFIObjectHandle tvm_array_maker(void)
{
    static const TVMFFIByteArray name = {"ffi.Array", 9};
    static TVMFFIObjectHandle known;
    TVMFFIObjectHandle maker = __atomic_load_n(&known, __ATOMIC_ACQUIRE);
    if (maker == NULL && TVMFFIFunctionGetGlobal(&name, &maker) == 0) {
        __atomic_store_n(&known, maker, __ATOMIC_RELEASE);
    }
    return maker;
}

/* An array of the results, which is what the virtual machine returns for a tuple. */
static int tvm_hand_out(TVMFFIAny *results, TVMFFIAny *result)
{
    TVMFFIObjectHandle maker = tvm_array_maker();
    int status = maker == NULL ? tvm_failure("this TVM makes no arrays")
                               : TVMFFIFunctionCall(maker, results, TVM_OUTPUTS, result);
    tvm_release(results, TVM_OUTPUTS);
    return status;
}
"""

_ENTRY = """
/* Run on memory for the results that the caller has given; it must be nothing else's. */
static int tvm_run_into(const void **inputs, const TVMFFIAny *args)
{
    void *outputs[TVM_OUTPUTS + 1];
    int i, j;
    for (i = 0; i < TVM_OUTPUTS; i++) {
        const struct tvm_type *type = &tvm_outputs[i];
        const void *data;
        if (tvm_take(type, &args[i], &data) != 0) {
            return -1;
        }
        outputs[i] = (void *)(uintptr_t)data;
        for (j = 0; j < TVM_INPUTS; j++) {
            if (tvm_overlap(data, type->bytes, inputs[j], tvm_inputs[j].bytes)) {
                return tvm_refuse("ValueError", type, " in memory of its own");
            }
        }
        for (j = 0; j < i; j++) {
            if (tvm_overlap(data, type->bytes, outputs[j], tvm_outputs[j].bytes)) {
                return tvm_refuse("ValueError", type, " in memory of its own");
            }
        }
    }
    return tvm_run(inputs, outputs);
}

/* Run on new memory for the results. */
static int tvm_run_new(const void **inputs, TVMFFIAny *result)
{
    void *outputs[TVM_OUTPUTS + 1];
    TVMFFIAny results[TVM_OUTPUTS + 1];
    int status, i;
    for (i = 0; i < TVM_OUTPUTS; i++) {
        outputs[i] = tvm_new_tensor(&tvm_outputs[i], &results[i]);
        if (outputs[i] == NULL) {
            tvm_release(results, i);
            return -1;
        }
    }
    status = tvm_run(inputs, outputs);
    if (status != 0) {
        tvm_release(results, TVM_OUTPUTS);
        return status;
    }
    return tvm_hand_out(results, result);
}

TVM_FFI_DLL_EXPORT int __tvm_ffi_@NAME(
    void *handle, const TVMFFIAny *args, int32_t count, TVMFFIAny *result)
{
    const void *inputs[TVM_INPUTS + 1];
    int status, i;
    (void)handle;
    if (count != TVM_INPUTS && count != TVM_INPUTS + TVM_OUTPUTS) {
        char text[512];
        snprintf(text, sizeof text, "@NAME takes %d tensors, and may be given %d more for its "
            "results; these are %d", TVM_INPUTS, TVM_OUTPUTS, (int)count);
        return tvm_raise("TypeError", text);
    }
    for (i = 0; i < TVM_INPUTS; i++) {
        if (tvm_take(&tvm_inputs[i], &args[i], &inputs[i]) != 0) {
            return -1;
        }
    }
    result->type_index = kTVMFFINone;
    result->zero_padding = 0;
    result->v_int64 = 0;
    status = count == TVM_INPUTS ? tvm_run_new(inputs, result)
                                 : tvm_run_into(inputs, args + TVM_INPUTS);
    return status > 0 ? tvm_failure(tvm_messages[status - 1]) : status;
}
"""
