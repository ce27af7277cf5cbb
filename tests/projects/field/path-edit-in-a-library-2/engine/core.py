from yolo_utils.boxes import area
import yolo_common


def detect():
    return area(2, 3), yolo_common.NAME
