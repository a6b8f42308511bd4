"""The networks of the paper's section II, and later ones, trained by one short recipe and measured alike."""
