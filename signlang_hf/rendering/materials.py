"""Blender materials, made once and recoloured for each picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from .scene import Scene

_PLAIN = ("lip", "nail", "eye", "iris", "mouth", "brow", "frame", "shoe", "furniture")
_PATTERN_NODES = {"stripes": "ShaderNodeTexWave", "checks": "ShaderNodeTexChecker", "mottled": "ShaderNodeTexNoise"}


def linear(colour: np.ndarray) -> tuple[float, float, float, float]:
    """sRGB in [0, 1] → linear RGBA, as Blender's colour sockets take it (IEC 61966-2-1)."""
    colour = np.clip(np.asarray(colour, dtype=float), 0.0, 1.0)
    value = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return (*(float(v) for v in value), 1.0)


class Materials:
    """All materials of a Blender session; ``bpy`` is the module."""

    def __init__(self, bpy: Any) -> None:
        self.bpy = bpy
        self.known = {name: self._plain(name) for name in _PLAIN}
        self.known |= {f"skin-{group}": self._skin(f"skin-{group}") for group in ("body", "left_hand", "right_hand")}
        self.known |= {f"shirt-{name}": self._cloth(f"shirt-{name}", kind) for name, kind in _PATTERN_NODES.items()}
        self.known |= {name: self._cloth(name, None) for name in ("shirt-plain", "trousers")}
        self.known["hair"] = self._hair()
        self.wall = self._wall()
        world = bpy.data.worlds.new("world")
        world.use_nodes = True
        bpy.context.scene.world = world
        self.world = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")

    def get(self, material: str, group: str, scene: Scene) -> Any:
        """The material of a part by its name, its group and the scene's pattern."""
        if material == "skin":
            return self.known[f"skin-{group if group in ('left_hand', 'right_hand') else 'body'}"]
        return self.known[f"shirt-{scene.look.pattern}" if material == "shirt" else material]

    def set_up(self, scene: Scene) -> None:
        """Give every material the scene's colours."""
        look = scene.look
        for name, material in self.known.items():
            nodes = material.node_tree.nodes
            kind = name.split("-")[0]
            nodes["colour"].outputs[0].default_value = linear(look.colours[kind])
            if kind in look.roughness:
                nodes["surface"].inputs["Roughness"].default_value = look.roughness[kind]
            if kind == "skin":
                nodes["second"].outputs[0].default_value = linear(look.colours["palm"])
                side = name.removeprefix("skin-").removesuffix("_hand")
                palm = -scene.pose.arms[side].axes[2] if side in scene.pose.arms else np.zeros(3)
                nodes["palm"].inputs[1].default_value = palm.tolist()
            elif "pattern" in nodes:
                nodes["second"].outputs[0].default_value = linear(look.pattern_colour)
                nodes["pattern"].inputs["Scale"].default_value = {
                    "stripes": 0.16, "checks": 0.5, "mottled": 0.35
                }[name.removeprefix("shirt-")] / look.pattern_size  # fmt: skip

    def set_world(self, scene: Scene) -> None:
        """Light from everywhere."""
        self.world.inputs["Color"].default_value = (*(float(v) for v in scene.ambient), 1.0)
        self.world.inputs["Strength"].default_value = 1.0

    def with_picture(self, image: Any) -> Any:
        """The wall's material with this picture on it."""
        self.wall.node_tree.nodes["picture"].image = image
        return self.wall

    def _new(self, name: str, roughness: float) -> tuple[Any, Any, Any, Any]:
        """Material, its tree, its surface node and a colour node that is linked to the surface."""
        material = self.bpy.data.materials.new(name)
        material.use_nodes = True
        tree = material.node_tree
        surface = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
        surface.name = "surface"
        surface.inputs["Roughness"].default_value = roughness
        surface.inputs["Specular IOR Level"].default_value = 0.3
        colour = tree.nodes.new("ShaderNodeRGB")
        colour.name = "colour"
        tree.links.new(colour.outputs[0], surface.inputs["Base Color"])
        return material, tree, surface, colour

    def _plain(self, name: str) -> Any:
        return self._new(name, 0.25 if name in ("eye", "iris", "nail", "frame") else 0.6)[0]

    def _mixed(self, tree: Any, share: Any, first: Any, surface: Any) -> Any:
        """Mix ``first`` with a second colour by ``share`` and link the result to the surface; gives the mix node."""
        second = tree.nodes.new("ShaderNodeRGB")
        second.name = "second"
        mix = tree.nodes.new("ShaderNodeMix")
        mix.data_type = "RGBA"
        tree.links.new(share, mix.inputs[0])
        tree.links.new(first, mix.inputs[6])
        tree.links.new(second.outputs[0], mix.inputs[7])
        tree.links.new(mix.outputs[2], surface.inputs["Base Color"])
        return mix

    def _bump(self, tree: Any, surface: Any, scale: float, strength: float, stretch: tuple[float, float, float]) -> Any:
        """Unevenness by noise; gives the noise node."""
        place = tree.nodes.new("ShaderNodeNewGeometry")
        mapping = tree.nodes.new("ShaderNodeVectorMath")
        mapping.operation = "MULTIPLY"
        mapping.inputs[1].default_value = stretch
        noise = tree.nodes.new("ShaderNodeTexNoise")
        noise.inputs["Scale"].default_value, noise.inputs["Detail"].default_value = scale, 0.0
        bump = tree.nodes.new("ShaderNodeBump")
        bump.inputs["Strength"].default_value = strength
        bump.inputs["Distance"].default_value = 0.02
        tree.links.new(place.outputs["Position"], mapping.inputs[0])
        tree.links.new(mapping.outputs[0], noise.inputs["Vector"])
        tree.links.new(noise.outputs[0], bump.inputs["Height"])
        tree.links.new(bump.outputs[0], surface.inputs["Normal"])
        return noise

    def _skin(self, name: str) -> Any:
        """Paler on the palm, which is told from the back of the hand by the way that the surface faces."""
        material, tree, surface, colour = self._new(name, 0.5)
        place = tree.nodes.new("ShaderNodeNewGeometry")
        dot = tree.nodes.new("ShaderNodeVectorMath")
        dot.operation, dot.name = "DOT_PRODUCT", "palm"
        tree.links.new(place.outputs["Normal"], dot.inputs[0])
        ramp = tree.nodes.new("ShaderNodeMapRange")
        ramp.inputs["From Min"].default_value = 0.0
        ramp.inputs["From Max"].default_value = 0.7
        tree.links.new(dot.outputs["Value"], ramp.inputs["Value"])
        self._mixed(tree, ramp.outputs[0], colour.outputs[0], surface)
        return material

    def _cloth(self, name: str, pattern: str | None) -> Any:
        material, tree, surface, colour = self._new(name, 0.85)
        self._bump(tree, surface, 14.0, 0.5, (1.0, 1.0, 0.6))
        if pattern:
            place = tree.nodes.new("ShaderNodeNewGeometry")
            texture = tree.nodes.new(pattern)
            texture.name = "pattern"
            if pattern == "ShaderNodeTexWave":
                texture.bands_direction = "Z"
            tree.links.new(place.outputs["Position"], texture.inputs["Vector"])
            self._mixed(tree, texture.outputs[1 if pattern != "ShaderNodeTexNoise" else 0], colour.outputs[0], surface)
        return material

    def _hair(self) -> Any:
        material, tree, surface, _ = self._new("hair", 0.5)
        self._bump(tree, surface, 90.0, 0.7, (1.0, 1.0, 0.12))
        return material

    def _wall(self) -> Any:
        material = self.bpy.data.materials.new("background")
        material.use_nodes = True
        tree = material.node_tree
        output = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
        picture = tree.nodes.new("ShaderNodeTexImage")
        picture.name = "picture"
        diffuse = tree.nodes.new("ShaderNodeBsdfDiffuse")
        tree.links.new(picture.outputs[0], diffuse.inputs["Color"])
        tree.links.new(diffuse.outputs[0], output.inputs["Surface"])
        return material
