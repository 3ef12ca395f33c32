"""What models say of samples and copies: verdicts, residual knowledge, radii, scores, metrics, membership."""
