"""What is wrong with a dataset, and how difficult it is: `annbench doctor`.

- examine.py: `examine_dataset`, which starts the child process (examining.py) that opens the file
- examination.py: the stages, in order
- scan.py: one pass over the rows; copies.py: rows that are alike
- truth.py: the stored neighbours and distances
- geometry.py, source.py, neighbors.py: neighbourhoods, LID, contrast; variance.py, shift.py: distribution
- findings.py: from figures to findings with a severity and a remedy; model.py: the answer
- text.py, picture.py: how it is shown
"""
