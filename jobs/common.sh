# What the job scripts of this folder share; they source it. It needs no change: what a cluster asks
# for stands in the scripts and in these variables, all optional:
#   LACUNA           the program; otherwise lacuna in PATH, otherwise build/lacuna
#   LACUNA_LAUNCHER  how its ranks are started, where the choice below is not the right one: "srun
#   --mpi=pmi2", …
# shellcheck shell=bash

lacuna=${LACUNA:-$(command -v lacuna || echo build/lacuna)}
# srun forgets it since SLURM 22.05, and refuses an empty one.
if [ -n "${SLURM_CPUS_PER_TASK:-}" ]; then export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK; fi
# With SLURM's default, two kinds of fences mixed, about one start of a hundred on four nodes
# crashed in MPI_Init (Open MPI 4.1.4, SLURM 22.05, a loaded machine); none of 532 with one kind
# alone.
export SLURM_PMIX_FENCE=${SLURM_PMIX_FENCE:-tree}
job=$SLURM_JOB_ID
if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID; fi

# srun where SLURM and Open MPI understand each other (PMIx): then a preemption without warning
# reaches every rank. Otherwise mpirun, whose daemons on the other nodes end by SLURM's SIGTERM
# before any rank could write.
launcher() {
  if [ -n "${LACUNA_LAUNCHER:-}" ]; then
    echo "$LACUNA_LAUNCHER"
  elif ! "$lacuna" --version | grep -q "Open MPI"; then
    echo "mpiexec"
  elif srun --mpi=list 2>&1 | grep -qw pmix; then
    echo "srun --mpi=pmix --kill-on-bad-exit=1"
  else
    echo "mpirun --map-by slot:PE=${SLURM_CPUS_PER_TASK:-1}"
  fi
}

# A warning while no ranks run: nothing is lost. SLURM may send it a minute early.
no_ranks() { trap 'end_job 75' USR1 USR2; }
no_ranks

# When SLURM will end the job, less 20 s, in seconds since 1970; nothing where it has no limit or
# does not answer.
last_moment() {
  local end
  end=$(SLURM_TIME_FORMAT=standard timeout 10 scontrol show job -o "$job" |
    sed -n 's/.* EndTime=\([^ ]*\).*/\1/p')
  [[ $end == ????-??-??T??:??:?? ]] || return # date takes no time at all for midnight
  end=$(date -d "$end" +%s) && echo $((end - 20))
}

# warn RANKS SIGNAL: passes the warning before the time limit on, again and again, for a launcher
# that is still starting ranks drops it. A step and a checkpoint may last longer than the warning
# was early: then the job goes back to the queue without them, for a job that meets its limit is not
# started again.
warn() {
  local ranks=$1 signal=$2 last warned
  kill "-$signal" "$ranks" 2> /dev/null || return
  warned=$(date +%s)
  last=$(last_moment)
  # A warning of 20 s or less.
  if [ -n "$last" ] && [ "$last" -lt $((warned + 5)) ]; then last=$((warned + 5)); fi
  while kill "-$signal" "$ranks" 2> /dev/null; do
    for _ in {1..10}; do
      kill -0 "$ranks" 2> /dev/null || return
      if [ -n "$last" ] && [ "$(date +%s)" -ge "$last" ]; then
        echo "the ranks did not stop in time: what they did since the last checkpoint is lost;" \
          "raise --signal=B:$signal@SECONDS"
        end_job 75
      fi
      sleep 0.5
    done
  done
}

# run_ranks STAGE ARGUMENT...: runs lacuna on all tasks of the job; returns its status. bash looks
# at signals only between commands, and while it waits; but a wait that a signal ends may lose the
# status of ranks that end just then.
run_ranks() {
  local start ranks warning=
  start=$(launcher)
  $start "$lacuna" "$@" & # a list of words
  ranks=$!
  trap 'warning=USR1' USR1
  trap 'warning=USR2' USR2
  trap : TERM # a preemption: srun's ranks have it too, and write a checkpoint now
  while kill -0 $ranks 2> /dev/null; do
    sleep 0.5
    if [ -n "$warning" ]; then warn $ranks "$warning"; fi
  done
  # TERM stays trapped: a requeue sends it to this script, which has to end with its own status.
  no_ranks
  wait $ranks
}

# end_job STATUS: requeues what can go on (docs/exit-status.md: 75, stopped early; 5, a rank was
# lost; 137, or of MPICH's mpiexec 9, one was killed; 138 and 140, the warning came before the
# launcher could pass it on), ends the job with anything else. Lacuna counts: after two restarts
# without progress it ends with 7.
end_job() {
  case $1 in
    5 | 9 | 75 | 137 | 138 | 140)
      # Not where a user has cancelled the job, or SLURM requeues it by itself.
      if scontrol show job -o "$job" | grep -q "JobState=RUNNING"; then
        echo "$(date +%T) status $1: job $job goes back to the queue and goes on from there"
        scontrol requeue "$job"
      fi
      ;;
  esac
  exit "$1"
}
