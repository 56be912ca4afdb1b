"""What happens to vectors before they are coded: one file a family, one line each in registry.py.

- base.py: what a transform must offer, and the fitted maps
- moments.py: second moments of vectors, estimated from a sample
- plain.py: identity, prefix of the dimensions (Matryoshka), random rotation, very sparse projection
- spectral.py: PCA, whitening
- leanvec.py: LeanVec for queries from elsewhere, solved by Frank–Wolfe, eigenvector search or balanced sphering
"""
