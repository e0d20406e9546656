"""Import Motion, and exports of a body's motion."""
# ruff: noqa: N801, RUF012 - Blender's way of naming and describing classes

from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

from ...lsr1_solver import FitError, Motion, read_motion
from ...lsr1_solver.motion import GENDERS
from ..motion_in import import_motion
from ..motion_out import export_amass, export_bvh, export_fbx, export_gltf
from ..rig import rig_of, target
from ..timing import scene_rate
from .common import body_there, body_to_change, is_idle, out_of_edit_modes, redraw, told

UP_ITEMS = [
    ("AUTO", "Automatic", "What the kind of file says; where files of the kind differ, how the body stands"),
    ("Z", "Z Up", "As AMASS's files"),
    ("Y", "Y Up", "As AIST++'s files and the results of GVHMR and WHAM"),
    ("-Y", "Camera (Y Down)", "As results in a camera's axes, of ROMP and 4D-Humans"),
]
SPACE_ITEMS = [
    ("AUTO", "As the File Has It", "In the world where the file says how, else as the camera saw it"),
    ("WORLD", "World", "Where the file has the body in the world"),
    ("CAMERA", "Before the Camera", "As it was seen, before the scene's camera: over the picture, as a fit"),
]
LAYOUT_ITEMS = [
    ("smplx", "SMPL-X", "165 numbers a frame, which the SMPL-X add-on and Meshcapade's load"),
    ("smplh", "SMPL-H", "156 numbers a frame, as AMASS's own files"),
]


class LSR1_OT_import_motion(bpy.types.Operator):
    """Key the motion of a file on the body, in a new action: AMASS and ROMP .npz, SMPL, AIST++, WHAM and \
4D-Humans (PHALP) .pkl, GVHMR .pt. Nothing that is in the file is run"""

    bl_idname = "lsr1.import_motion"
    bl_label = "Import Motion"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: StringProperty(default="*.npz;*.pkl;*.pickle;*.joblib;*.pt;*.pth", options={"HIDDEN"})
    person: IntProperty(
        name="Person",
        description="Which of the people, those with the most frames first",
        default=1,
        min=1,
        options={"SKIP_SAVE"},
    )
    up: EnumProperty(name="Up", description="Which way is up in the file", items=UP_ITEMS)
    space: EnumProperty(name="Place", description="Where the motion is put", items=SPACE_ITEMS)
    frame_rate: FloatProperty(
        name="File Rate",
        description="Frames a second of the file; 0: what it says, or what is usual for its kind",
        min=0.0,
        soft_max=240.0,
        precision=3,
        options={"SKIP_SAVE"},
    )
    set_rate: BoolProperty(
        name="Scene at File Rate",
        description="Play the scene at the file's frames a second. Other animation changes its speed",
        options={"SKIP_SAVE"},
    )
    start: IntProperty(name="Start Frame", description="The scene frame of the clip's first", default=1)
    use_shape: BoolProperty(
        name="Shape",
        description="Give the body the file's shape, where the file's is one of this body's",
        default=True,
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a body, outside the modes that edit."""
        return body_to_change(cls, context) and out_of_edit_modes(cls, context) and is_idle(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask for the file."""
        if self.filepath:
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Read the file, key one person."""
        with told(self):
            armature, path = target(context), Path(bpy.path.abspath(self.filepath))
            motions = read_motion(
                path,
                body=rig_of(armature).body,
                up=None if self.up == "AUTO" else self.up,
                frame_rate=self.frame_rate or None,
                space={"WORLD": "world", "CAMERA": "camera"}.get(self.space),
            )
            if self.person > len(motions):
                raise FitError(f"{path.name} has {len(motions)} people: choose person 1 to {len(motions)}")
            motion = motions[self.person - 1]
            frames = import_motion(
                context,
                armature,
                motion,
                path.stem if len(motions) == 1 else f"{path.stem} {self.person}",
                first=self.start,
                before_camera=self.space == "CAMERA",
                use_shape=self.use_shape,
                set_rate=self.set_rate,
            )
            self.report({"INFO"}, self._summary(context, motions, frames[0], frames[-1]))
            redraw(context)
            return {"FINISHED"}
        return {"CANCELLED"}

    def _summary(self, context: bpy.types.Context, motions: list[Motion], first: float, last: float) -> str:
        motion, rate = motions[self.person - 1], scene_rate(context.scene)
        many = f", {self.person} of {len(motions)}" if len(motions) > 1 else ""
        shape = "" if motion.has_shape or not self.use_shape else "; the body keeps its own shape"
        return f"{motion}{many}: scene frames {first:g} to {last:.6g} at {rate:.6g} frames/s{shape}"


class _Export:
    """What the exports share: the file browser, the poll and the report."""

    bl_options = {"REGISTER"}
    ending = ""

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    # Blender's file browser asks before it writes over a file.
    check_existing: BoolProperty(default=True, options={"HIDDEN"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a body, outside the modes that edit."""
        return body_there(cls, context) and out_of_edit_modes(cls, context) and is_idle(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask for the file, named after the action."""
        data = target(context).animation_data
        name = data.action.name if data is not None and data.action is not None else "motion"
        folder = Path(bpy.data.filepath).parent if bpy.data.filepath else Path()
        self.filepath = str(folder / f"{bpy.path.clean_name(name)}{self.ending}")
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Write the scene's frames."""
        with told(self):
            path = Path(bpy.path.abspath(self.filepath))
            if path.suffix.lower() != self.ending:
                path = path.with_name(path.name + self.ending)
            if not path.parent.is_dir():
                raise FitError(f"The folder {path.parent} does not exist")
            count = self.write(context, str(path))
            rate = scene_rate(context.scene)
            self.report({"INFO"}, f"{path.name}: {count} frames at {rate:.6g} frames/s")
            return {"FINISHED"}
        return {"CANCELLED"}

    def write(self, context: bpy.types.Context, path: str) -> int:
        """Write the file; the number of frames."""
        raise NotImplementedError


class LSR1_OT_export_amass(_Export, bpy.types.Operator):
    """Write the motion of the scene's frames as an AMASS-style .npz: SMPL's parameters, z up. The SMPL-X \
add-on and Meshcapade's load it"""

    bl_idname = "lsr1.export_amass"
    bl_label = "Export SMPL Motion (.npz)"
    ending = ".npz"

    filter_glob: StringProperty(default="*.npz", options={"HIDDEN"})
    layout: EnumProperty(name="Layout", description="Whose joints the file has", items=LAYOUT_ITEMS)
    gender: EnumProperty(
        name="Gender",
        description="Which of SMPL's bodies other programs show",
        items=[(gender, gender.capitalize(), "") for gender in GENDERS],
    )

    def write(self, context: bpy.types.Context, path: str) -> int:
        """SMPL's parameters."""
        return export_amass(context, target(context), path, layout=self.layout, gender=self.gender)


class LSR1_OT_export_bvh(_Export, bpy.types.Operator):
    """Write the motion of the scene's frames as a .bvh: the skeleton alone, y up, metres"""

    bl_idname = "lsr1.export_bvh"
    bl_label = "Export BVH"
    ending = ".bvh"

    filter_glob: StringProperty(default="*.bvh", options={"HIDDEN"})

    def write(self, context: bpy.types.Context, path: str) -> int:
        """The skeleton."""
        return export_bvh(context, target(context), path)


class LSR1_OT_export_fbx(_Export, bpy.types.Operator):
    """Write body, mesh and the motion of the scene's frames as an .fbx, at scale 1, the shape in the mesh"""

    bl_idname = "lsr1.export_fbx"
    bl_label = "Export FBX"
    ending = ".fbx"

    filter_glob: StringProperty(default="*.fbx", options={"HIDDEN"})

    def write(self, context: bpy.types.Context, path: str) -> int:
        """Body and mesh."""
        return export_fbx(context, target(context), path)


class LSR1_OT_export_gltf(_Export, bpy.types.Operator):
    """Write body, mesh and the motion of the scene's frames as a .glb, at scale 1, the shape in the mesh"""

    bl_idname = "lsr1.export_gltf"
    bl_label = "Export glTF"
    ending = ".glb"

    filter_glob: StringProperty(default="*.glb", options={"HIDDEN"})

    def write(self, context: bpy.types.Context, path: str) -> int:
        """Body and mesh."""
        return export_gltf(context, target(context), path)
