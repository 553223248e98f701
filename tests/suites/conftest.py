import pytest
import torch


@pytest.fixture(autouse=True)
def _alone():
    # The tensors are tiny: threads would only wait for each other, on a busy machine for seconds.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
