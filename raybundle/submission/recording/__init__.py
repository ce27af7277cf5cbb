"""What the record of a run says besides the job: who, from which commit, and what may be written down."""
