"""The renderer that looks like a photograph: Blender's Cycles on the CPU, through the ``bpy`` package.

One Blender scene is set up once; a picture only replaces its meshes, colours, lights and background. Few samples, no bounces and
the OIDN denoiser keep a picture below a second on one core; so does leaving the surfaces as they are (a voxel remesh would join fingers
and palm without a seam, and take as long as all the rest), and, where no shadow falls on the background, rendering nothing
but the person's own rectangle and laying it over the background afterwards. ``bpy`` runs on exactly the Python version that it was built for.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .scene import Scene
from .surface import Part, outwards

if TYPE_CHECKING:
    from PIL.Image import Image


def require_bpy() -> Any:
    """The ``bpy`` module. Raises ImportError with the command that installs it."""
    try:
        import bpy
    except ImportError as error:
        raise ImportError(
            'The Blender renderer needs bpy: pip install "signlang-hf[blender]" (Python 3.11), or use the flat renderer.'
        ) from error
    return bpy


class BlenderRenderer:
    """Renders scenes one after the other.

    Args:
        samples: rays a pixel before denoising.
        threads: threads of Cycles; 0 takes all cores.

    Raises:
        ImportError: bpy is not installed.
    """

    def __init__(self, samples: int = 8, threads: int = 1) -> None:
        self.bpy = require_bpy()
        from .materials import Materials

        self.bpy.ops.wm.read_factory_settings(use_empty=True)
        self.scene = self.bpy.context.scene
        self._set_up_cycles(samples, threads)
        self.materials = Materials(self.bpy)
        self.camera = self.bpy.data.objects.new("camera", self.bpy.data.cameras.new("camera"))
        self.scene.collection.objects.link(self.camera)
        self.scene.camera = self.camera
        self.folder = tempfile.TemporaryDirectory(prefix="signlang-render-")

    def _set_up_cycles(self, samples: int, threads: int) -> None:
        render, cycles = self.scene.render, self.scene.cycles
        render.engine = "CYCLES"
        # Persistent data save no time where every mesh is new, and leave the order of the lights, hence the noise, to chance.
        render.use_persistent_data = False
        render.threads_mode = "FIXED" if threads else "AUTO"
        if threads:
            render.threads = threads
        render.image_settings.file_format = "PNG"
        render.image_settings.color_mode, render.image_settings.compression = "RGBA", 0
        render.film_transparent = True
        render.use_compositing = render.use_sequencer = False
        cycles.device = "CPU"
        cycles.samples = samples
        cycles.use_adaptive_sampling = False
        cycles.use_denoising = True
        cycles.denoiser = "OPENIMAGEDENOISE"
        cycles.denoising_input_passes = "RGB_ALBEDO"
        cycles.denoising_prefilter = "NONE"
        cycles.denoising_quality = "FAST"
        cycles.max_bounces = cycles.diffuse_bounces = cycles.glossy_bounces = 0
        cycles.transmission_bounces = cycles.volume_bounces = cycles.transparent_max_bounces = 0
        cycles.caustics_reflective = cycles.caustics_refractive = False
        cycles.use_auto_tile = cycles.use_light_tree = False
        self.scene.view_settings.view_transform = "Standard"

    def __call__(self, scene: Scene) -> Image:
        """The scene as an RGB picture of the camera's size."""
        from PIL import Image

        self._clear()
        self.materials.set_up(scene)
        groups: dict[tuple[str, str], list[Part]] = {}
        for part in scene.parts:
            groups.setdefault((part.group, part.material), []).append(part)
        for (group, material), parts in groups.items():
            self._add(parts, self.materials.get(material, group, scene))
        self._set_camera(scene)
        if scene.wall:
            self._add_wall(scene)
        self._add_lights(scene)
        self.scene.cycles.seed = scene.seed % 2**31
        corner = self._set_border(scene)
        path = Path(self.folder.name) / "picture.png"
        self.scene.render.filepath = str(path)
        with _quiet():
            self.bpy.ops.render.render(write_still=True)
        with Image.open(path) as picture:
            behind = Image.fromarray(np.round(scene.background * 255).astype(np.uint8))
            behind.paste(picture, corner, mask=picture.getchannel("A"))
            return behind

    def _clear(self) -> None:
        data = self.bpy.data
        data.batch_remove([thing for kind in (data.meshes, data.lights, data.images) for thing in kind])
        data.batch_remove([thing for thing in data.objects if thing != self.camera])

    def _link(self, name: str, data: Any) -> Any:
        thing = self.bpy.data.objects.new(name, data)
        self.scene.collection.objects.link(thing)
        return thing

    def _mesh(self, vertices: np.ndarray, faces: np.ndarray) -> Any:
        mesh = self.bpy.data.meshes.new("part")
        sizes = np.where(faces[:, 2] == faces[:, 3], 3, 4)
        corners = faces[np.arange(4)[None] < sizes[:, None]]
        mesh.vertices.add(len(vertices))
        mesh.vertices.foreach_set("co", vertices.astype(np.float32).ravel())
        mesh.loops.add(len(corners))
        mesh.loops.foreach_set("vertex_index", corners.astype(np.int32))
        mesh.polygons.add(len(faces))
        mesh.polygons.foreach_set("loop_start", np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32))
        mesh.update(calc_edges=True)
        return mesh

    def _add(self, parts: Sequence[Part], material: Any) -> None:
        starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
        faces = np.concatenate([outwards(part) + start for part, start in zip(parts, starts)])
        mesh = self._mesh(np.concatenate([part.vertices for part in parts]), faces)
        if parts[0].group != "furniture":
            mesh.shade_smooth()
        mesh.materials.append(material)
        self._link("part", mesh)

    def _set_camera(self, scene: Scene) -> None:
        from mathutils import Matrix

        camera, data = scene.camera, self.camera.data
        matrix = np.eye(4)
        matrix[:3, :3] = np.stack([camera.axes[0], -camera.axes[1], -camera.axes[2]], axis=1)
        matrix[:3, 3] = camera.place
        self.camera.matrix_world = Matrix(matrix.tolist())
        data.sensor_fit, data.sensor_width = "HORIZONTAL", 36.0
        data.lens = camera.focal * 36.0 / camera.width
        data.clip_start = 0.01
        self.scene.render.resolution_x, self.scene.render.resolution_y = camera.width, camera.height
        self.scene.render.resolution_percentage = 100

    def _set_border(self, scene: Scene) -> tuple[int, int]:
        """Render only where something is; gives the left top corner of that rectangle in pixels."""
        camera, render = scene.camera, self.scene.render
        size = np.array([camera.width, camera.height])
        low, high = np.zeros(2, int), size
        render.use_border = render.use_crop_to_border = not scene.wall
        if not scene.wall:
            pixels = camera.project(np.concatenate([part.vertices for part in scene.parts]))[0]
            if np.isfinite(pixels).all():  # else something reaches behind the camera and may be anywhere
                low = np.clip(np.floor(pixels.min(axis=0)).astype(int) - 3, 0, size - 8)
                high = np.clip(np.ceil(pixels.max(axis=0)).astype(int) + 3, low + 8, size)
            # A hundredth of a pixel beyond the edge, so that no rounding moves the border.
            (left, top), (right, bottom) = (low + 0.01) / size, (high + 0.01) / size
            render.border_min_x, render.border_max_x = left, right
            render.border_min_y, render.border_max_y = 1 - bottom + 0.02 / size[1], 1 - top + 0.02 / size[1]
        return int(low[0]), int(low[1])

    def _add_wall(self, scene: Scene) -> None:
        """The background as a wall across the view, on which the person's shadow falls."""
        camera = scene.camera
        depth = float((scene.pose.pelvis - camera.place) @ camera.axes[2]) + scene.wall
        half = 1.15 * depth * np.array([camera.width, camera.height]) / 2 / camera.focal
        middle = camera.place + depth * camera.axes[2]
        corners = [(-1, 1), (1, 1), (1, -1), (-1, -1)]
        vertices = [middle + x * half[0] * camera.axes[0] + y * half[1] * camera.axes[1] for x, y in corners]
        mesh = self._mesh(np.array(vertices), np.array([[0, 1, 2, 3]]))
        layer = mesh.uv_layers.new(name="uv")
        layer.data.foreach_set("uv", np.array([0, 0, 1, 0, 1, 1, 0, 1], dtype=np.float32))
        height, width = scene.background.shape[:2]
        image = self.bpy.data.images.new("background", width, height)
        pixels = np.ones((height, width, 4), dtype=np.float32)
        pixels[..., :3] = scene.background[::-1]
        image.pixels.foreach_set(pixels.ravel())
        image.update()
        mesh.materials.append(self.materials.with_picture(image))
        self._link("background", mesh)

    def _add_lights(self, scene: Scene) -> None:
        from mathutils import Vector

        target = scene.pose.neck
        for light in scene.lights:
            kind = "SUN" if light.size < 0.12 else "AREA"
            data = self.bpy.data.lights.new("light", kind)
            data.color = light.colour.tolist()
            thing = self._link("light", data)
            distance = 2.5
            thing.location = (target + distance * light.towards).tolist()
            thing.rotation_euler = Vector((-light.towards).tolist()).to_track_quat("-Z", "Y").to_euler()
            if kind == "SUN":
                data.energy, data.angle = 3.0 * light.strength, light.size
            else:
                data.size = 2 * light.size
                data.energy = 3.0 * light.strength * np.pi * distance**2 * 1.1
        self.materials.set_world(scene)


@contextmanager
def _quiet() -> Iterator[None]:
    """Blender reports every file it saves on the process's own standard output, past ``sys.stdout``."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
