"""sweep: what its table shows."""

import support


class Table(support.EndToEndTest):
    def header(self, task):
        self.path("grid.toml").write_text(
            f'pretrain = "a.toml"\nfinetune = "{task}.toml"\n[grid]\nseed = [1, 2]\n')
        return self.succeeds("sweep", "grid.toml").stdout.splitlines()[0].split("\t")

    def test_before_there_are_results_it_names_the_main_score_of_the_task(self):
        support.write_experiment(self.path("a.toml"))
        for task, score in (("linear", "accuracy"), ("ridge", "mse"), ("regress", "mse")):
            support.write_task(self.path(f"{task}.toml"), task)
            self.assertEqual(self.header(task), ["run", "seed", "step", "loss", score, "better"])
