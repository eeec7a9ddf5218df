"""A network learns from a few videos of one's own, within a given time: `siamjax finetune`."""
