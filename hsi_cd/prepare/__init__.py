"""Between a scene and a detector: statistics, projection, registration, padding, patches, splits, augmentation."""
