"""The benchmark scenes of the field, entry by entry.

Counts were taken from the truth maps themselves, or from public loaders where no map was at hand.
"""

from __future__ import annotations

from hsi_cd.datasets.entries import Counts, CubeFile, FileSet, SceneEntry, TruthFile, TruthMasks
from hsi_cd.scene import LabelScheme

_ZERO_ONE = LabelScheme(unchanged=(0,), changed=(1,))
_ZERO_FULL = LabelScheme(unchanged=(0,), changed=(255,))
_ONE_TWO = LabelScheme(unchanged=(1,), changed=(2,))
_TWO_ONE = LabelScheme(unchanged=(2,), changed=(1,))
_TWO_ONE_SPARSE = LabelScheme(unchanged=(2,), changed=(1,), ignore=(0,))
_FIVE_KINDS = LabelScheme(unchanged=(0,), changed=(1, 2, 3, 4, 5))
_SIX_KINDS = LabelScheme(unchanged=(7,), changed=(1, 2, 3, 4, 5, 6))

_HYPERION = "EO-1 Hyperion"
_TEHRAN = "Remote Sensing Laboratory, University of Tehran: rslab.ut.ac.ir, page 'data'"
_CITIUS = "CiTIUS, University of Santiago de Compostela: look for 'hyperspectral change detection dataset'"
_SICONG = "GitHub account SicongLiuRS"
_LANDSAT = "GitHub repository ChenHongruixuan/ChangeDetectionRepository, folder Dataset/Landsat"
_HASANLOU = (
    "Hasanlou and Seydi 2018, Hyperspectral change detection: an experimental comparative study, "
    "Int. J. Remote Sensing, doi 10.1080/01431161.2018.1466079"
)
_WANG = (
    "Wang, Yuan, Du and Li 2019, GETNET: a general end-to-end 2-D CNN framework for hyperspectral image change "
    "detection, IEEE TGRS 57(1), doi 10.1109/TGRS.2018.2849692"
)
_LOPEZ = (
    "Lopez-Fandino, Garea, Heras and Argueello 2018, Stacked autoencoders for multiclass change detection in "
    "hyperspectral images, IGARSS"
)
_WU = (
    "Wu, Du and Zhang 2014, Slow feature analysis for change detection in multispectral imagery, IEEE TGRS, "
    "doi 10.1109/TGRS.2013.2266673"
)
_DAUDT = (
    "Daudt, Le Saux, Boulch and Gousseau 2018, Urban change detection for multispectral Earth observation using "
    "convolutional neural networks, IGARSS (Onera Satellite Change Detection dataset), arXiv 1810.08468"
)
_DATE_ORDER = "The order of the dates rests on file names and keys; no score reveals a swap."


def _both_in_one(name: str, truth_key: str, scheme: LabelScheme) -> FileSet:
    """A MATLAB file with T1, T2 and the truth."""
    cubes = [CubeFile((name,), key) for key in ("T1", "T2")]
    return FileSet(cubes[0], cubes[1], (TruthFile((name,), scheme, truth_key),))


def _reference_maps(t1: str, t2: str, multiclass: LabelScheme) -> tuple[FileSet, ...]:
    """The packing of the SicongLiuRS scenes: two cubes, and a binary or a multi-class reference."""
    truths = (
        TruthFile(("Reference_Map_Binary.mat",), _ZERO_ONE, "Ref_map_binary"),
        TruthFile(("Reference_Map_Multiclass.mat",), multiclass, "Ref_map_multiclass"),
    )
    return (FileSet(CubeFile((t1,)), CubeFile((t2,)), truths),)


def _landsat_pair(t1: str, t2: str) -> tuple[FileSet, ...]:
    """Two ENVI images and two masks."""
    masks = TruthMasks("change.bmp", "unchanged.bmp")
    return (FileSet(CubeFile((t1,), header=True), CubeFile((t2,), header=True), (masks,)),)


def _hyperview(t1: str, t2: str, *truths: TruthFile) -> FileSet:
    """The packing of the CiTIUS scenes, whose cubes are all called HypeRvieW."""
    return FileSet(CubeFile((t1,), "HypeRvieW"), CubeFile((t2,), "HypeRvieW"), truths)


FARMLAND = SceneEntry(
    name="farmland",
    aliases=("Yancheng", "China"),
    place="farmland near Yancheng, Jiangsu, China",
    sensor=f"{_HYPERION}, 30 m",
    dates=("2006-05-03", "2007-04-23"),
    rows=450,
    cols=140,
    bands=155,
    counts=Counts(unchanged=44_723, changed=18_277),
    file_sets=(
        FileSet(
            CubeFile(("Farm1.mat",), "imgh"),
            CubeFile(("Farm2.mat",), "imghl"),
            (TruthFile(("GTChina1.mat",), _ONE_TWO, "label"),),
        ),
        FileSet(
            CubeFile(("farm06.mat",), "imgh"),
            CubeFile(("farm07.mat",), "imghl"),
            (TruthFile(("label.mat",), _ZERO_ONE, "label"),),
        ),
    ),
    published="no page of its own: it circulates with the code of papers",
    notes=(
        "Two scenes are called Farmland: this one of 450 rows, and farmland420. Their truths agree on 96.9 % of "
        "the pixels, and on 99.998 % away from boundaries.",
        _DATE_ORDER,
    ),
)

FARMLAND420 = SceneEntry(
    name="farmland420",
    aliases=("China",),
    place="farmland near Yancheng, Jiangsu, China",
    sensor=_HYPERION,
    dates=("2006-05-03", "2007-04-23"),
    rows=420,
    cols=140,
    bands=154,
    counts=Counts(unchanged=40_417, changed=18_383),
    file_sets=(
        _both_in_one("China_Change_Dataset.mat", "Binary", _ZERO_ONE),
        FileSet(
            CubeFile(("China1.mat",)),
            CubeFile(("China2.mat",)),
            (TruthFile(("GT.mat",), _ZERO_ONE, "GT"), TruthFile(("GTChina.mat",), _ONE_TWO, "GT")),
        ),
    ),
    published=_TEHRAN,
    citation=_HASANLOU,
    notes=("Two scenes are called Farmland: this one of 420 rows, and farmland.", _DATE_ORDER),
)

HERMISTON = SceneEntry(
    name="hermiston",
    aliases=("USA", "Sa"),
    place="irrigated fields, Hermiston, Oregon, USA",
    sensor=_HYPERION,
    dates=("2004-05-01", "2007-05-08"),
    rows=307,
    cols=241,
    bands=154,
    counts=Counts(unchanged=57_311, changed=16_676),
    file_sets=(
        _both_in_one("USA_Change_Dataset.mat", "Binary", _ZERO_ONE),
        FileSet(
            CubeFile(("Sa1.mat",), "T1"),
            CubeFile(("Sa2.mat",), "T2"),
            (TruthFile(("SaGT.mat",), _TWO_ONE, "GT"),),
        ),
    ),
    published=_TEHRAN,
    citation=_HASANLOU,
    notes=(
        "Two scenes are called Hermiston: this one of 307 x 241 pixels, and hermiston390.",
        "In SaGT.mat 1 is changed and 2 unchanged, the opposite of most files.",
        _DATE_ORDER,
    ),
)

HERMISTON390 = SceneEntry(
    name="hermiston390",
    aliases=("CITIUS",),
    place="irrigated fields, Hermiston, Oregon, USA",
    sensor=_HYPERION,
    dates=("2004", "2007"),
    rows=390,
    cols=200,
    bands=242,
    counts=Counts(unchanged=68_014, changed=9_986),
    file_sets=(
        _hyperview(
            "hermiston2004.mat",
            "hermiston2007.mat",
            TruthFile(("rdChangesHermiston_5classes.mat",), _FIVE_KINDS, "gt5clasesHermiston"),
        ),
    ),
    published=_CITIUS,
    citation=_LOPEZ,
    notes=(
        "Two scenes are called Hermiston: this one of 390 x 200 pixels, and hermiston.",
        "The truth tells five kinds of change apart, which are one unless kinds are asked for.",
        "All 242 bands are there, also those that Hyperion does not calibrate.",
    ),
)

RIVER = SceneEntry(
    name="river",
    aliases=("Jiangsu",),
    place="river, Jiangsu, China",
    sensor=_HYPERION,
    dates=("2013-05-03", "2013-12-31"),
    rows=463,
    cols=241,
    bands=198,
    counts=Counts(unchanged=101_885, changed=9_698),
    file_sets=(
        FileSet(
            CubeFile(("river_before.mat",), "river_before"),
            CubeFile(("river_after.mat",), "river_after"),
            (
                TruthFile(("groundtruth.mat",), _ZERO_FULL, "lakelabel_v1"),
                TruthFile(("Rivergt.mat",), _ONE_TWO, "gt"),
            ),
        ),
    ),
    published="crabwq.github.io",
    citation=_WANG,
    notes=("In groundtruth.mat 255 is changed, not unlabelled.", _DATE_ORDER),
)

BAYAREA = SceneEntry(
    name="bayarea",
    aliases=("Bay Area", "Patterson CA", "Patterson"),
    place="Patterson, California, USA",
    sensor="AVIRIS",
    dates=("2013", "2015"),
    rows=600,
    cols=500,
    bands=224,
    counts=Counts(unchanged=34_211, changed=39_270, unlabelled=226_519),
    file_sets=(
        _hyperview(
            "Bay_Area_2013.mat",
            "Bay_Area_2015.mat",
            TruthFile(
                ("bayArea_gtChanges2.mat", "bayArea_gtChanges2.mat.mat", "bayArea_gtChanges.mat"),
                _TWO_ONE_SPARSE,
                "HypeRvieW",
            ),
        ),
        _both_in_one("BayArea.mat", "GT", _TWO_ONE_SPARSE),
    ),
    published=_CITIUS,
    citation=_LOPEZ,
    notes=("Three quarters of the pixels are unlabelled (0).", "1 is changed and 2 unchanged."),
)

BARBARA = SceneEntry(
    name="barbara",
    aliases=("Santa Barbara",),
    place="Santa Barbara, California, USA",
    sensor="AVIRIS",
    dates=("2013", "2014"),
    rows=984,
    cols=740,
    bands=224,
    counts=Counts(unchanged=80_418, changed=52_134, unlabelled=595_608),
    file_sets=(
        _hyperview(
            "barbara_2013.mat",
            "barbara_2014.mat",
            TruthFile(("barbara_gtChanges.mat",), _TWO_ONE_SPARSE, "HypeRvieW"),
        ),
        _both_in_one("Barbara.mat", "GT", _TWO_ONE_SPARSE),
    ),
    published=_CITIUS,
    citation=_LOPEZ,
    notes=("Four fifths of the pixels are unlabelled (0).", "1 is changed and 2 unchanged."),
)

WETLAND = SceneEntry(
    name="wetland",
    aliases=("MultiFarmland",),
    place="wetland farmland, China",
    sensor=_HYPERION,
    dates=("2006-05-03", "2007-04-23"),
    rows=430,
    cols=220,
    bands=128,
    counts=Counts(unchanged=70_442, changed=24_158),
    file_sets=_reference_maps("PreImg_2006.mat", "PostImg_2007.mat", _FIVE_KINDS),
    published=_SICONG,
    notes=("The multi-class truth tells five kinds of change apart; it is read where kinds are asked for.",),
)

IRRIGATED = SceneEntry(
    name="irrigated",
    aliases=("Benton County",),
    place="irrigated fields, Benton County, Washington, USA",
    sensor=_HYPERION,
    dates=("2004-05-01", "2007-05-08"),
    rows=225,
    cols=180,
    bands=159,
    counts=Counts(unchanged=30_579, changed=9_921),
    file_sets=_reference_maps("PreImg_2004.mat", "PostImg_2007.mat", _SIX_KINDS),
    published=_SICONG,
    notes=(
        "In the multi-class truth, which is read where kinds are asked for, 7 is unchanged and 1 to 6 are kinds.",
    ),
)

TAIZHOU = SceneEntry(
    name="taizhou",
    place="Taizhou, China",
    sensor="Landsat ETM+, 30 m",
    dates=("2000", "2003"),
    rows=400,
    cols=400,
    bands=6,
    counts=Counts(unchanged=17_163, changed=4_227, unlabelled=138_610),
    file_sets=_landsat_pair("2000TM", "2003TM"),
    published=_LANDSAT,
    citation=_WU,
    notes=("Multispectral. 87 % of the pixels are unlabelled: they are in neither mask.",),
)

NANJING = SceneEntry(
    name="nanjing",
    place="Nanjing, China",
    sensor="Landsat TM",
    dates=("2000-05-03", "2002-07-12"),
    rows=800,
    cols=800,
    bands=6,
    file_sets=_landsat_pair("LT51200382000124BJC00_Nanjing", "LT51200382002193BJC00_Nanjing"),
    published=_LANDSAT,
    citation=_WU,
    notes=("Multispectral. The label counts are not known here, so they are not checked.",),
)

RENNES = SceneEntry(
    name="rennes",
    place="Rennes, France",
    sensor="Sentinel-2",
    dates=("unknown", "unknown"),
    rows=339,
    cols=563,
    bands=13,
    counts=Counts(unchanged=185_925, changed=4_932),
    file_sets=(
        FileSet(
            CubeFile(("rennes_t1.tif",)),
            CubeFile(("rennes_t2.tif",)),
            (TruthFile(("rennes_truth.tif",), _ONE_TWO),),
        ),
    ),
    published="the Onera Satellite Change Detection (OSCD) dataset, city rennes",
    citation=_DAUDT,
    notes=("Multispectral. Only urban change is labelled: fields that changed count as unchanged.",),
)

ENTRIES = (
    FARMLAND,
    FARMLAND420,
    HERMISTON,
    HERMISTON390,
    RIVER,
    BAYAREA,
    BARBARA,
    WETLAND,
    IRRIGATED,
    TAIZHOU,
    NANJING,
    RENNES,
)
