"""Each rank reads its share of some files, through a DataLoader whose workers are forked.

FSSPEC_FORK_RESET=1 torchrun --standalone --nproc-per-node=2 train.py URL ...
"""

import os
import sys
from typing import Any

import torch
import torch.distributed
from torch.utils.data import DataLoader, Dataset, DistributedSampler

import fsspec


class Files(Dataset[Any]):
    """The size of each file, and whether a worker read it."""

    def __init__(self, urls: list[str]) -> None:
        self.urls, self.rank = urls, os.getpid()
        self.fs, self.first = fsspec.url_to_fs(urls[0])
        self.head = self.fs.cat_file(self.first, start=0, end=100)
        self.file = self.fs.open(self.first)  # in the rank: the workers inherit it, and its filesystem

    def __len__(self) -> int:
        return len(self.urls)

    def __getitem__(self, item: int) -> torch.Tensor:
        self.file.seek(0)
        assert self.file.read(100) == self.head
        return torch.tensor([len(self.fs.cat_file(self.urls[item])), os.getpid() != self.rank])


def main(urls: list[str]) -> None:
    torch.distributed.init_process_group("gloo")
    dataset = Files(urls)
    loader = DataLoader(
        dataset,
        sampler=DistributedSampler(dataset, shuffle=False),
        num_workers=2,
        multiprocessing_context="fork",
        worker_init_fn=fsspec.asyn.reset_after_fork,  # not needed with FSSPEC_FORK_RESET=1
    )
    total = torch.zeros(2, dtype=torch.int64)
    for _epoch in range(2):
        for batch in loader:
            total += batch.sum(0)
    torch.distributed.all_reduce(total)  # over all ranks
    if torch.distributed.get_rank() == 0:
        print(f"{total[0]} bytes of {total[1]} files, read in workers", flush=True)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1:])
