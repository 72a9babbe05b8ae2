"""tools/same-bits finds no difference between a program and itself, and finds those that are
planted: another learning rate, and one weight of a run that is embedded."""

import importlib.machinery
import importlib.util

import continues
import support

TOOL = support.SOURCE / "tools/same-bits"
CASE = "rotation-resnet18"


def load_tool():
    loader = importlib.machinery.SourceFileLoader("same_bits", str(TOOL))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("same_bits", loader))
    loader.exec_module(module)
    return module


class SameBits(support.EndToEndTest):
    def setUp(self):
        super().setUp()
        self.tool = load_tool()
        self.tool.write_configurations(self.folder, ["rotation"])

    def program(self, script):
        """The program behind a script, in which `$program` is its path."""
        path = self.path("changed/lacuna")
        path.parent.mkdir()
        path.write_text(f"#!/bin/sh\nprogram={support.LACUNA}\n{script}\n")
        path.chmod(0o755)
        return path

    def compare(self, new):
        return self.tool.Comparison(support.LACUNA, new, self.folder)

    def test_a_program_computes_what_it_computes(self):
        self.assertIn("rotation", self.tool.objectives_of(support.LACUNA, self.folder))
        self.compare(support.LACUNA).check_case("rotation", "resnet18", 1)

    def test_another_learning_rate_is_found(self):
        new = self.program('exec "$program" "$@" --set optimizer.lr=0.0301')
        with self.assertRaisesRegex(self.tool.Differs, "'lr': 0.0301,.*encoder.bn1.bias"):
            self.compare(new).check_case("rotation", "resnet18", 1)

    def test_another_weight_is_found(self):
        self.succeeds("pretrain", f"{CASE}.toml", "--run", "run")
        checkpoint = support.checkpoint_folder(self.path("run"), self.tool.STEPS)

        def change(name, values):
            return values * 1.001 if name == "encoder.conv1.weight" else None

        for name in ("one", "two"):
            self.succeeds("embed", "run", "--data", "data.h5", "--out", f"{name}.h5")
            continues.change_tensors(checkpoint, change)
        with self.assertRaisesRegex(self.tool.Differs, "/z of one.h5 and of two.h5"):
            self.compare(support.LACUNA).z_is_equal("one.h5", "two.h5")
