"""Real models outside of the repository, by their paths in the shared folder."""

from __future__ import annotations

from pathlib import Path

from burnish.dimensions import dims_from_samples
from burnish.samples import file_beside

TRAINED = [
    "aecmos_gru",
    "digits_cnn",
    "digits_gru",
    "digits_mlp",
    "digits_vit",
    "dnsmos_sig_bak_ovr",
    "doc_orientation_lcnet",
    "magika_filetype",
    "mlperf_tiny_ad_autoencoder",
    "mlperf_tiny_ic_resnet8",
    "mlperf_tiny_kws_dscnn",
    "mlperf_tiny_vww_mobilenet",
    "mnist_cnn",
    "ppocr_cls",
    "ppocr_v4_det",
    "ppocr_v4_rec",
    "silero_vad_sequence",
    "silero_vad_step",
    "tflm_sine",
    "ultraface_rfb320",
    "yunet_n_320",
]
QUANTIZED = [
    "mlperf_tiny_ad_autoencoder",
    "mlperf_tiny_ic_resnet8",
    "mlperf_tiny_kws_dscnn",
    "mlperf_tiny_vww_mobilenet",
    "mobilenet_v2_imagenet_int8",
    "tflm_micro_speech",
    "tflm_sine",
]
ARCHITECTURES = [
    "addernet",
    "bert_tiny",
    "condensenet",
    "convnext",
    "deit_tiny",
    "densenet",
    "efficientnet_b0",
    "efficientnet_v2",
    "ghostnet",
    "gru_keyword",
    "gru_streaming",
    "llama_decoder",
    "lstm_keyword",
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilevit_xs",
    "power_of_two_shift",
    "resnet18",
    "resnet50",
    "shiftnet",
    "shufflenet_v2",
    "squeezenet",
    "swin_tiny",
    "unet",
    "vit_tiny",
    "yolo_tiny",
]
FLOAT_FILES = [f"models/{name}/model.onnx" for name in TRAINED] + [
    f"zoo/{name}/model.onnx" for name in ARCHITECTURES
]
QUANTIZED_FILES = [f"models/{name}/int8.onnx" for name in QUANTIZED]


def dims_of(model: Path) -> dict[str, object]:
    """The sizes of the samples beside a model, for what it leaves open."""
    samples = file_beside(model)
    assert samples is not None
    return dict(dims_from_samples(str(model), {}, samples).dims)
