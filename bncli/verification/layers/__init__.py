"""Does a layer keep its running statistics, its modes and its state as its callers rely on?

``layer_findings`` runs the checks of a dtype and gives a finding for each of their groups. A group is a file:

- ``update_rule``: the rule by which training updates the running statistics, found by ``step_fits``
- ``layer_state``: what changes the statistics besides a training step, and what a step leaves behind
- ``training_mode``, ``eval_mode``: y and gradients in a mode, after other calls and after the other mode
- ``layer_copies``: deepcopy, pickle, state_dict
- ``layer_options``: no gamma and beta, no running statistics, no momentum

``running_conventions`` has what frameworks do. To add a check, write a function of a ``Subject`` that yields
sentences about what is wrong, and name it in the ``CHECKS`` of its file.
"""
