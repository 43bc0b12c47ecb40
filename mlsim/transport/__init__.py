"""Ion transport: displacement, diffusivity, conductivity, Arrhenius."""
