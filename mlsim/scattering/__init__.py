"""Total scattering of a glass: partials, weights, S(Q) and G_PDF(r)."""
