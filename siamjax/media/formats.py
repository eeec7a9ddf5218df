"""The label formats by name: a table without their modules, for flags and their help."""

# name -> module, help; in the order in which a source is tried
FORMATS = {
    "csv": (
        "siamjax.media.labels.table",
        "table with the columns frame,target,x,y,w,h,score,second_peak,lost; with presence where "
        "the weights have a map of it, with name where targets have names",
    ),
    "json": ("siamjax.media.labels.tree", "the same with video, rate and checkpoint"),
    "cvat": ("siamjax.media.labels.cvat", "CVAT for video 1.1, XML"),
    "cvat_images": ("siamjax.media.labels.cvat_images", "CVAT for images 1.1, XML"),
    "coco": ("siamjax.media.labels.coco", "COCO JSON; with targets COCO-video"),
    "ytvis": ("siamjax.media.labels.ytvis", "YouTube-VIS JSON"),
    "labelstudio": ("siamjax.media.labels.labelstudio", "Label Studio's JSON of videos"),
    "labelme": ("siamjax.media.labels.labelme", "labelme's JSON, a file per image"),
    "voc": ("siamjax.media.labels.voc", "Pascal VOC XML, a file per image"),
    "masks": ("siamjax.media.labels.masks", "folders of DAVIS and YouTube-VOS; read only"),
    "motchallenge": (
        "siamjax.media.labels.motchallenge",
        "folders of MOT15, MOT16, MOT17, MOT20: gt/gt.txt, seqinfo.ini",
    ),
    "yolo": ("siamjax.media.labels.yolo", "YOLO text, a file per image; keeps no identities"),
    "vot": ("siamjax.media.labels.vot", "polygons of VOT; one target only"),
    "mot": ("siamjax.media.labels.mot", "MOT text, frame,id,x,y,w,h,score,-1,-1,-1 from 1"),
    "txt": ("siamjax.media.labels.otb", "OTB text, x,y,w,h per line; one target only"),
}
# those that have a flag of their own in `siamjax track`
TRACK_FLAGS = ("csv", "json", "txt", "mot")
