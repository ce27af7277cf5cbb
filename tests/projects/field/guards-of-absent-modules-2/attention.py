import importlib.util

from availability import is_flash_available

HAS_TRITON = importlib.util.find_spec("absent_triton") is not None

if HAS_TRITON:
    import absent_triton
    import absent_triton.language as tl

if is_flash_available():
    from absent_flash import flash_attn_func
    from absent_flash.bert_padding import pad_input


def attend(values):
    return sum(values)
