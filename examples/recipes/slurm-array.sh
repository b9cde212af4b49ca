#!/usr/bin/env bash
# The same as an array of a batch system: `sbatch examples/recipes/slurm-array.sh`, then, once all shares are done,
# `examples/recipes/merge 64 out`.
#SBATCH --job-name=campaign
#SBATCH --array=1-64
#SBATCH --cpus-per-task=2
#SBATCH --time=02:00:00
set -euo pipefail
examples/recipes/shard "$SLURM_ARRAY_TASK_ID" "$SLURM_ARRAY_TASK_COUNT" out --cycles 1000000000 --seed 1
