"""What history will have to prove."""

import pytest


@pytest.mark.skip(reason="there is no restore of an earlier state yet; it will be a new edit on top of the later ones")
def test_a_restore_destroys_no_later_edit() -> None: ...
