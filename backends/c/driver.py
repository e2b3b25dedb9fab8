"""A program that runs an emitted model once on files, for runs under sanitizers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MEMORY = """\
/* Aligned memory for the time of the program. */
static void *memory(size_t bytes, size_t alignment)
{
    unsigned char *block = malloc(bytes + alignment);
    if (block == NULL) {
        exit(100);
    }
    return block + (alignment - (size_t)block % alignment) % alignment;
}
"""

_TRANSFER = """\
static void transfer(const char *path, const char *mode, void *data, size_t bytes)
{
    FILE *file = fopen(path, mode);
    size_t done;
    if (file == NULL) {
        exit(101);
    }
    done = mode[0] == 'r' ? fread(data, 1, bytes, file) : fwrite(data, 1, bytes, file);
    fclose(file);
    if (done != bytes) {
        exit(102);
    }
}
"""


def driver_text(manifest: Mapping[str, Any]) -> str:
    """C text of a program that runs the model once on files.

    Its arguments are one file per input, the weights where they are loaded at run time, and one
    file per output.
    """
    if manifest.get("sizes"):
        return _dynamic_driver(manifest)
    name, macro = manifest["name"], manifest["name"].upper()
    sizes = {
        kind: ", ".join(f"{macro}_{kind}_{i}_BYTES" for i in range(len(manifest[f"{key}s"])))
        for kind, key in (("INPUT", "input"), ("OUTPUT", "output"))
    }
    counts = {kind: f"{macro}_{kind}_COUNT" for kind in sizes}
    return f"""{_beginning(name)}
int main(int argc, char **argv)
{{
    static const size_t input_bytes[{counts["INPUT"]} + 1] = {{{sizes["INPUT"] or "0"}}};
    static const size_t output_bytes[{counts["OUTPUT"]} + 1] = {{{sizes["OUTPUT"] or "0"}}};
    const void *inputs[{counts["INPUT"]} + 1];
    void *outputs[{counts["OUTPUT"]} + 1];
    int next = 1, status, i;
    (void)argc;
    for (i = 0; i < {counts["INPUT"]}; i++) {{
        void *data = malloc(input_bytes[i] + (input_bytes[i] == 0));
        transfer(argv[next++], "rb", data, input_bytes[i]);
        inputs[i] = data;
    }}{_loading(manifest)}
    for (i = 0; i < {counts["OUTPUT"]}; i++) {{
        outputs[i] = malloc(output_bytes[i] + (output_bytes[i] == 0));
    }}
    status = {name}_run(inputs, outputs, memory({macro}_ARENA_BYTES, {macro}_ARENA_ALIGNMENT));
    for (i = 0; i < {counts["OUTPUT"]}; i++) {{
        transfer(argv[next++], "wb", outputs[i], output_bytes[i]);
    }}
    return status;
}}
"""


def _beginning(name: str) -> str:
    return f'#include <stdio.h>\n#include <stdlib.h>\n#include "{name}.h"\n\n{MEMORY}\n{_TRANSFER}'


def _loading(manifest: Mapping[str, Any]) -> str:
    """Statements that load the weights, where they are loaded at run time."""
    if manifest["options"]["weights"] != "load" or not manifest["weights_bytes"]:
        return ""
    name, macro = manifest["name"], manifest["name"].upper()
    return f"""
    unsigned char *weights = memory({macro}_WEIGHTS_BYTES, {macro}_WEIGHTS_ALIGNMENT);
    transfer(argv[next++], "rb", weights, {macro}_WEIGHTS_BYTES);
    if ({name}_load_weights(weights, {macro}_WEIGHTS_BYTES) != {macro}_OK) {{
        return {macro}_ERROR_WEIGHTS;
    }}"""


def _dynamic_driver(manifest: Mapping[str, Any]) -> str:
    """The same for a model with dynamic dimensions.

    After the inputs and weights come a file with the sizes, and one for the shapes of outputs.
    Memory is as large as it must be, so that the sanitizers see the first byte beyond.
    """
    name, macro = manifest["name"], manifest["name"].upper()
    inputs, outputs = (len(manifest[key]) for key in ("inputs", "outputs"))
    room = "\n".join(
        f"    output_bytes[{i}] = {macro}_OUTPUT_{i}_MAX_BYTES;"
        for i, exact in enumerate(manifest["exact"])
        if not exact
    )
    return f"""{_beginning(name)}
{_bytes_of(name)}
int main(int argc, char **argv)
{{
    size_t input_bytes[{inputs} + 1], output_bytes[{outputs} + 1];
    void *input_data[{inputs} + 1];
    const void *inputs[{inputs} + 1];
    void *outputs[{outputs} + 1];
    struct {name}_sizes sizes;
    FILE *shapes;
    int next = 1, status, i;
    transfer(argv[argc - {outputs} - 2], "rb", &sizes, sizeof sizes);
{_measured(name, "input", inputs)}
    for (i = 0; i < {inputs}; i++) {{
        input_data[i] = malloc(input_bytes[i] + (input_bytes[i] == 0));
        transfer(argv[next++], "rb", input_data[i], input_bytes[i]);
        inputs[i] = input_data[i];
    }}{_loading(manifest)}
    next += 2;
{_measured(name, "output", outputs)}
{room}
    for (i = 0; i < {outputs}; i++) {{
        outputs[i] = malloc(output_bytes[i] + (output_bytes[i] == 0));
    }}
    status = {name}_run(inputs, outputs, memory({macro}_ARENA_BYTES, {macro}_ARENA_ALIGNMENT),
        &sizes);
    if (status != {macro}_OK) {{
        return status;
    }}
    shapes = fopen(argv[next - 1], "wb");
    if (shapes == NULL) {{
        exit(101);
    }}
{_measured(name, "output", outputs, "shapes")}
    fclose(shapes);
    for (i = 0; i < {outputs}; i++) {{
        transfer(argv[next++], "wb", outputs[i], output_bytes[i]);
    }}
    return status;
}}
"""


def _bytes_of(name: str) -> str:
    """A C function that measures a tensor whose sizes are known at run time only."""
    return f"""/* The bytes of a tensor; its shape is written to a file, if there is one. */
static size_t bytes_of(void (*shape_of)(const struct {name}_sizes *, ptrdiff_t *),
    const struct {name}_sizes *sizes, int rank, size_t bytes, FILE *file)
{{
    ptrdiff_t shape[64];
    int axis;
    shape_of(sizes, shape);
    for (axis = 0; axis < rank; axis++) {{
        bytes *= shape[axis] > 0 ? (size_t)shape[axis] : 0;
    }}
    if (file != NULL && fwrite(shape, sizeof(ptrdiff_t), (size_t)rank, file) != (size_t)rank) {{
        exit(103);
    }}
    return bytes;
}}
"""


def _measured(name: str, kind: str, count: int, file: str = "NULL") -> str:
    """Statements that measure all inputs, or all outputs (``kind``)."""
    tensors = (f"{name.upper()}_{kind.upper()}_{i}" for i in range(count))
    return "\n".join(
        f"    {kind}_bytes[{i}] = bytes_of({name}_{kind}_{i}_shape, &sizes, "
        f"{tensor}_RANK, sizeof({tensor}_TYPE), {file});"
        for i, tensor in enumerate(tensors)
    )
