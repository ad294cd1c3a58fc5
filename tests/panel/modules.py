"""The panel's modules that need no page, run by the node that Playwright brings along."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import playwright

from gpt2.ui.page.assets import panel_files

NODE = Path(playwright.__file__).parent / "driver" / "node"

_ANSWER = """
import { createInterface } from "node:readline";
const places = JSON.parse(process.argv[1]);
globalThis.load = (address) => import(places[address.slice(1)]);
for await (const line of createInterface({ input: process.stdin })) {
  const { script, argument } = JSON.parse(line);
  let answer;
  try {
    const found = await (0, eval)(`(${script})`)(argument);
    answer = { found: found === undefined ? null : found };
  } catch (error) {
    answer = { error: String(error?.stack ?? error) };
  }
  console.log(JSON.stringify(answer));
}
"""


class Modules:
    """A node of its own, started when first needed; `evaluate` is that of Playwright's pages."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def evaluate(self, script: str, argument: Any = None) -> Any:
        """What the function `script` returns; `import("/x.js")` in it is the panel's module.

        Raises AssertionError with node's own words where the script throws.
        """
        if self._process is None:
            places = {name: path.as_uri() for name, path in panel_files().items()}
            self._process = subprocess.Popen(
                [NODE, "--input-type=module", "-e", _ANSWER, json.dumps(places)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
            )
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        placed = re.sub(r"\bimport\(", "load(", script)
        stdin.write(json.dumps({"script": placed, "argument": argument}) + "\n")
        stdin.flush()
        answer = json.loads(stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["found"]

    def close(self) -> None:
        if self._process is not None:
            self._process.communicate()  # the end of its input ends it
            assert self._process.returncode == 0
