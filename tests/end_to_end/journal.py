"""What a program changed in a folder, call by call (journalled_system.c), and what of it is on the
disk when the power goes: what was not flushed may be there, be torn, or not be there.

A disk keeps the content of a file once the file was flushed, and the entries of a folder, its
names, once the folder was; one does not bring the other, and what was not flushed comes in any
order. Few file systems are as bad; none promises more.
"""

import dataclasses
import pathlib
import shutil

BLOCK = 512  # what a disk writes as a whole


@dataclasses.dataclass
class Call:
    kind: str  # create, size, write, flush, mkdir, rename, remove
    number: int  # offset of a write, or the new size
    data: bytes
    path: str
    other: str  # the new name of a rename
    fatal: bool  # the kill came in it
    result: int = None  # what it returned, or -errno; None when it never returned


def read_calls(path):
    """The calls of the journal in their order. Those of a process that was killed end in the
    middle."""
    text = pathlib.Path(path).read_bytes()
    calls, at = [], 0
    while (end := text.find(b"\n", at)) >= 0:
        word, *fields = text[at:end].decode().split("\t")
        at = end + 1
        if word == "E":
            calls[-1].result = int(fields[0])
            continue
        kind, number, size, name, other = fields
        calls.append(Call(kind, int(number), text[at:at + int(size)], name, other, word == "K"))
        at += int(size)
    return calls


class File:
    """Its content on the disk, and what was done to it since: (offset, bytes) written, or (size,
    None)."""

    def __init__(self, content=b""):
        self.on_disk, self.changes = content, []

    def content(self):
        if not self.changes:
            return self.on_disk
        content = bytearray(self.on_disk)
        for at, data in self.changes:
            content.extend(bytes(max(0, at - len(content))))
            if data is None:
                del content[at:]
            else:
                content[at:at + len(data)] = data
        return bytes(content)

    def write(self, offset, data):
        for start in range(offset - offset % BLOCK, offset + len(data), BLOCK):
            first, last = max(start, offset), min(start + BLOCK, offset + len(data))
            self.changes.append((first, data[first - offset:last - offset]))

    def resize(self, size):
        self.changes.append((size, None))

    def flush(self):
        self.on_disk, self.changes = self.content(), []

    def lose_power(self, random):
        size = len(self.content())
        before, self.changes = len(self.changes), some(self.changes, random)
        counts = before, len(self.changes)
        self.flush()
        if random and random.random() < 0.3:  # the size came to the disk before the content
            self.on_disk = self.on_disk.ljust(size, b"\0")
        return counts


class Folder:
    """The same for its entries: a name and its File or Folder. A rename is one change, of two
    names."""

    def __init__(self):
        self.on_disk, self.changes = {}, []

    def entries(self):
        entries = dict(self.on_disk)
        for change in self.changes:
            entries.update(change)
        return {name: node for name, node in entries.items() if node is not None}

    def flush(self):
        self.on_disk, self.changes = self.entries(), []

    def lose_power(self, random):
        """Returns how many changes there were to lose, and how many came to the disk."""
        before, self.changes = len(self.changes), some(self.changes, random)
        counts = [(before, len(self.changes))]
        self.flush()
        counts += [node.lose_power(random) for node in self.on_disk.values()]
        return tuple(map(sum, zip(*counts)))


def some(changes, random):
    """What of the changes comes to the disk: nothing, everything, the first, or any; without
    `random` nothing."""
    how = random.choice(("none", "all", "first", "any")) if random else "none"
    if how == "first":
        return changes[:random.randint(0, len(changes))]
    return [change for change in changes if how == "all" or how == "any" and random.random() < 0.5]


class Disk:
    """A folder's content as it is, as the program was promised that it stays, and as a power cut
    leaves it."""

    def __init__(self, folder, is_flushed=lambda path: True):
        """`is_flushed(path)`: whether flushing does anything there; a fault to plant."""
        self.folder, self.is_flushed = pathlib.Path(folder), is_flushed
        # New name -> content, and the folder that has the name and is not yet flushed.
        self.renamed = {}
        # Path -> content, of files that were renamed, flushed with their folder, and are as then.
        self.promised = {}
        # Changes at power cuts, and those of them that came to the disk.
        self.unflushed = self.kept = 0
        self.look()

    def look(self):
        """Takes what is in the folder for what is on the disk."""
        self.root = self.read(self.folder)

    def read(self, path):
        if not path.is_dir():
            return File(path.read_bytes())
        folder = Folder()
        folder.on_disk = {each.name: self.read(each) for each in path.iterdir()}
        return folder

    def find(self, path):
        node = self.root
        for name in pathlib.Path(path).relative_to(self.folder).parts:
            node = node.entries()[name]
        return node

    def parent(self, path):
        return self.find(pathlib.Path(path).parent), pathlib.Path(path).name

    def make(self, call):
        """Does what a call has done; one that never returned may have done any part of it."""
        if call.result is not None and call.result < 0:
            return
        if call.kind != "flush":
            self.forget(call.path)
            self.forget(call.other)
        if call.kind == "write":
            self.find(call.path).write(call.number, call.data[:call.result])
        elif call.kind == "size":
            self.find(call.path).resize(call.number)
        elif call.kind == "flush":
            if call.result is not None:
                self.flush(call.path)
        else:
            folder, name = self.parent(call.path)
            if call.kind == "rename":
                to, new = self.parent(call.other)
                if to is not folder:
                    raise ValueError(
                        f"{call} goes to another folder, for which there is no rule here")
                node = folder.entries()[name]
                folder.changes.append({name: None, new: node})
                if call.result is not None and not promises_nothing(call.other):
                    holder = str(pathlib.Path(call.other).parent)
                    self.renamed.update({
                        each: (content, holder)
                        for each, content in files_below(call.other, node).items()})
            else:
                made = {"create": File, "mkdir": Folder}.get(call.kind)
                folder.changes.append({name: made() if made else None})

    def flush(self, path):
        node = self.find(path)
        if self.is_flushed(path):
            node.flush()
        if isinstance(node, Folder):
            for each in [each for each, (_, holder) in self.renamed.items() if holder == path]:
                self.promised[each], _ = self.renamed.pop(each)

    def forget(self, path):
        for list_ in (self.renamed, self.promised):
            for each in [each for each in list_ if path and is_below(each, path)]:
                del list_[each]

    def files(self):
        """The content of every file by its path, as the program sees it; None for a folder."""
        return files_below(str(self.folder), self.root, folders=True)

    def lose_power(self, random=None):
        """Leaves in the folder what is on the disk after a power cut; without `random` only what
        had to be."""
        unflushed, kept = self.root.lose_power(random)
        self.unflushed, self.kept = self.unflushed + unflushed, self.kept + kept
        self.renamed = {}
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path, content in self.files().items():
            if content is None:
                pathlib.Path(path).mkdir(exist_ok=True)
            else:
                pathlib.Path(path).write_bytes(content)

    def broken_promises(self):
        """The files that were promised to be there as they were and are not; forgotten thereby."""
        files = self.files()
        broken = [path for path, content in self.promised.items() if files.get(path) != content]
        for path in broken:
            del self.promised[path]
        return [str(pathlib.Path(path).relative_to(self.folder)) for path in broken]


def promises_nothing(path):
    """A lease is not flushed, for after a power cut nobody holds it; and nobody reads a checkpoint
    set aside."""
    return ".lease" in pathlib.Path(path).name or "/unusable-" in path


def is_below(path, folder):
    return path == folder or path.startswith(f"{folder}/")


def files_below(path, node, folders=False):
    if isinstance(node, File):
        return {path: node.content()}
    found = {path: None} if folders else {}
    for name, each in node.entries().items():
        found.update(files_below(f"{path}/{name}", each, folders))
    return found
