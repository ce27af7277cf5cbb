"""The exact answers to command lines that cannot run. `pasted.py` has the project."""

from __future__ import annotations

from tests.support.pasted import CHANGED, PROJECT, THERE, advice, in_shell, module, script, typing

ANSWERED: list[tuple[str, str, str]] = [
    (
        "alembic upgrade head",
        f"`alembic` is a program of another distribution{PROJECT}",
        advice(
            script(
                "run_alembic.py",
                "import subprocess, sys",
                "sys.exit(subprocess.run(['alembic', 'upgrade', 'head']).returncode)",
            ),
            typing("raybundle submit run_alembic.py"),
        ),
    ),
    (
        "python -m celery -A proj beat",
        f"`-m celery` is a module of another distribution{PROJECT}",
        advice(
            script(
                "run_celery.py",
                "import subprocess, sys",
                "sys.exit(subprocess.run([sys.executable, '-m', 'celery', '-A', 'proj', 'beat']).returncode)",
            ),
            typing("raybundle submit run_celery.py"),
        ),
    ),
    (
        '"nohup python job.py > log.txt 2>&1 < /dev/null &"',
        "`&` leaves a shell's command running; `--no-wait` leaves a job running",
        advice("`raybundle logs ID` shows its log", typing("raybundle submit --no-wait job.py")),
    ),
    (
        "python -m pip install rich",
        "an installation on one node would be lost: the bundle takes what the job imports from here",
        advice("install it here, and submit the job", typing("python -m pip install rich")),
    ),
    (
        '"python prepare.py && python job.py"',
        f"`&&` needs a shell{PROJECT}",
        advice(
            in_shell("python prepare.py && python job.py"),
            typing("raybundle submit --include prepare.py --include job.py run_line.py"),
        ),
    ),
    (
        '"python prepare.py; python job.py"',
        f"`;` needs a shell{PROJECT}",
        advice(
            in_shell("python prepare.py; python job.py"),
            typing("raybundle submit --include prepare.py --include job.py run_line.py"),
        ),
    ),
    (
        '"cd scripts && python train.py --lr 1"',
        f"`&&` needs a shell{PROJECT}",
        advice(
            in_shell("cd scripts && python train.py --lr 1", "scripts/run_line.py"),
            typing("raybundle submit --include scripts/train.py scripts/run_line.py"),
        ),
    ),
    (
        '"python job.py $HOME/x"',
        f"`$HOME` needs a shell{PROJECT}",
        advice(in_shell("python job.py $HOME/x"), typing("raybundle submit --include job.py run_line.py")),
    ),
    (
        '"python job.py \\"`id`\\""',
        f"a backtick needs a shell{PROJECT}",
        advice(in_shell('python job.py "`id`"'), typing("raybundle submit --include job.py run_line.py")),
    ),
    (
        '"python job.py data/*.csv"',
        f"`*` needs a shell{PROJECT}",
        advice(in_shell("python job.py data/*.csv"), typing("raybundle submit --include job.py run_line.py")),
    ),
    (
        '"python job.py | grep x"',
        f"`|` needs a shell{PROJECT}",
        advice(in_shell("python job.py | grep x"), typing("raybundle submit --include job.py run_line.py")),
    ),
    (
        '"python job.py > out.txt 2>&1 &"',
        "`&` leaves a shell's command running; `--no-wait` leaves a job running",
        advice("`raybundle logs ID` shows its log", typing("raybundle submit --no-wait job.py")),
    ),
    (
        '"python job.py &"',
        "`&` leaves a shell's command running; `--no-wait` leaves a job running",
        advice("`raybundle logs ID` shows its log", typing("raybundle submit --no-wait job.py")),
    ),
    (
        '"python job.py 2>&1 | tee log.txt"',
        "the output of a job is its log, standard error too",
        advice(typing("raybundle submit --log-file log.txt job.py")),
    ),
    ('"python - < job.py"', "a job has no standard input", advice(typing("raybundle submit job.py"))),
    (
        '"pip install -r requirements.txt && SEED=1 python job.py"',
        f"the line needs a shell{PROJECT}",
        advice(typing("pip install -r requirements.txt"), typing("raybundle submit --env SEED=1 job.py")),
    ),
    (
        '"source .venv/bin/activate; export SEED=1; python job.py"',
        f"the line needs a shell{PROJECT}",
        advice(typing("source .venv/bin/activate"), typing("raybundle submit --env SEED=1 job.py")),
    ),
    (
        "PYTHONPATH=scripts:. SEED=1 python job.py x",
        "the bundle fixes the path of a job, and PYTHONPATH would change it",
        advice(typing("raybundle submit --env SEED=1 --root scripts --root . job.py x")),
    ),
    (
        "PYTHONPATH=scripts python -P job.py",
        "the bundle fixes the path of a job, and PYTHONPATH would change it",
        advice(typing("raybundle submit --root scripts -- python -P job.py")),
    ),
    (
        "env -u SEED python job.py",
        "`env -u` removes SEED from the environment of a shell, and a job has none",
        advice(
            "write `import os; os.environ.pop('SEED', None)` at the top of the script if a node sets it",
            typing("raybundle submit job.py"),
        ),
    ),
    (
        "env -i python job.py",
        "`env -i` would remove what a node needs to run the bundle",
        advice(typing("raybundle submit job.py")),
    ),
    (
        "uv run --with rich --with 'numpy>1' --extra gpu -p 3.12 job.py x",
        "`uv run --with rich --with numpy>1 --extra gpu -p 3.12`" + CHANGED,
        advice(
            typing("uv sync --extra gpu"),
            typing("uv pip install rich"),
            typing("uv pip install 'numpy>1'"),
            typing("raybundle submit --python 3.12 job.py x"),
        ),
    ),
    (
        "uv run --env-file .env job.py",
        "`uv run --env-file .env`" + CHANGED,
        advice(
            "name the variables of .env: `--env NAME=VALUE`, or `--secret` for a secret",
            typing("raybundle submit job.py"),
        ),
    ),
    (
        "uv run pep.py",
        "`uv run` makes an environment of what the head of pep.py asks for" + THERE,
        advice(
            typing("uv sync --script pep.py"),
            typing('raybundle submit --python "$(uv python find --script pep.py)" pep.py'),
        ),
    ),
    ("uv build", "`uv build` runs no job", advice("name the script that is the job")),
    (
        "hatch run test:python job.py",
        "`hatch run test:` names an environment of this machine, which the bundle has to be built from",
        advice(typing('raybundle submit --python "$(hatch run test:which python)" job.py')),
    ),
    (
        "conda run -n env --no-capture-output python job.py",
        "`conda run -n env` names an environment of this machine, which the bundle has to be built from",
        advice(typing('raybundle submit --python "$(conda run -n env which python)" job.py')),
    ),
    (
        "sudo -E python job.py",
        "a job runs as the user of the nodes' Ray, and `sudo` cannot change that",
        advice(typing("raybundle submit job.py")),
    ),
    (
        "timeout 60 python job.py",
        "`timeout` would end the driver on its node; raybundle stops the whole job",
        advice(typing("raybundle submit --timeout 60 job.py")),
    ),
    (
        "bash run.sh --epochs '2 3'",
        f"run.sh is a script of a shell{PROJECT}",
        advice(
            typing("source .venv/bin/activate"),
            typing("raybundle submit --env SEED=3 scripts/train.py --lr 1 --epochs '2 3'"),
        ),
    ),
    (
        "./run.sh",
        f"./run.sh is a script of a shell{PROJECT}",
        advice(
            typing("source .venv/bin/activate"),
            typing("raybundle submit --env SEED=3 scripts/train.py --lr 1"),
        ),
    ),
    (
        "run.sh",
        f"run.sh is a script of a shell{PROJECT}",
        advice(
            typing("source .venv/bin/activate"),
            typing("raybundle submit --env SEED=3 scripts/train.py --lr 1"),
        ),
    ),
    (
        "bash stay.sh --epochs 2",
        f"stay.sh is a script of a shell{PROJECT}",
        advice(typing("raybundle submit job.py --lr 1 --epochs 2")),
    ),
    (
        "python -m pkg/mod.py --x 1",
        "`-m` takes the name of a module, not its file",
        advice(typing("raybundle submit -m pkg.mod --x 1")),
    ),
    (
        "python -m pkg.mod.py",
        "`-m` takes the name of a module, not its file",
        advice(typing("raybundle submit -m pkg.mod")),
    ),
    ("./start", f"./start is a script of a shell{PROJECT}", advice(typing("raybundle submit job.py --fast"))),
    (
        "both.sh 3",
        f"both.sh is a script of a shell{PROJECT}; it does more than start one",
        advice(
            in_shell("sh both.sh 3"),
            typing("raybundle submit --include both.sh --include prepare.py --include job.py run_line.py"),
        ),
    ),
    ("bash nowhere.sh", "there is no shell script nowhere.sh", advice("name the script that is the job")),
    (
        "bash -c 'python job.py \"$1\"' sh 3",
        f"`bash -c` with arguments needs a shell{PROJECT}",
        advice(
            in_shell("bash -c 'python job.py \"$1\"' sh 3"),
            typing("raybundle submit --include job.py run_line.py"),
        ),
    ),
    ("bash", "`bash` has no terminal in a job", advice("name the script that is the job")),
    (
        "cd scripts",
        "`cd` changes the directory of a shell, and ends with it",
        advice("your own shell took the `&&`: put the whole line in quotes"),
    ),
    (
        "torchrun --nproc_per_node 2 scripts/train.py --config=configs/base.yaml",
        f"`torchrun` is a program of another distribution{PROJECT}",
        advice(
            module("scripts/run_torchrun.py", "torch.distributed.run"),
            typing(
                "raybundle submit --include scripts/train.py --include configs/base.yaml "
                "scripts/run_torchrun.py --nproc_per_node 2 scripts/train.py --config=configs/base.yaml"
            ),
        ),
    ),
    (
        "python -m torch.distributed.run job.py",
        f"`-m torch.distributed.run` is a module of another distribution{PROJECT}",
        advice(
            module("run_torch_distributed_run.py", "torch.distributed.run"),
            typing("raybundle submit --include job.py run_torch_distributed_run.py job.py"),
        ),
    ),
    (
        "accelerate launch job.py",
        f"`accelerate` is a program of another distribution{PROJECT}",
        advice(
            module("run_accelerate.py", "accelerate.commands.accelerate_cli"),
            typing("raybundle submit --include job.py run_accelerate.py launch job.py"),
        ),
    ),
    (
        "deepspeed job.py",
        f"`deepspeed` is a program of another distribution{PROJECT}",
        advice(
            module("run_deepspeed.py", "deepspeed.launcher.runner"),
            typing("raybundle submit --include job.py run_deepspeed.py job.py"),
        ),
    ),
    (
        "mpirun -np 2 python job.py",
        f"`mpirun` is a program of the nodes{PROJECT}",
        advice(
            in_shell("mpirun -np 2 python job.py"), typing("raybundle submit --include job.py run_line.py")
        ),
    ),
    (
        "serve run app:app",
        f"`serve run` is a program of Ray{PROJECT}",
        advice(
            script(
                "run_serve.py",
                "from ray import serve",
                "from app import app as app_1",
                "serve.run(app_1, blocking=True)",
            ),
            typing("raybundle submit run_serve.py"),
        ),
    ),
    (
        "serve run app:build size=1 --route-prefix /y --reload",
        f"`serve run` is a program of Ray{PROJECT}",
        advice(
            "--reload is left out of this driver",
            script(
                "run_serve.py",
                "from ray import serve",
                "from app import build as app_1",
                "serve.run(app_1({'size': '1'}), route_prefix='/y', blocking=True)",
            ),
            typing("raybundle submit run_serve.py"),
        ),
    ),
    (
        "serve deploy serve.yaml",
        f"`serve deploy` is a program of Ray{PROJECT}",
        advice(
            script(
                "run_serve.py",
                "from ray import serve",
                "from app import build as app_1",
                "serve.run(app_1({'size': 1}), name='one', route_prefix='/', blocking=True)",
            ),
            typing("raybundle submit run_serve.py"),
        ),
    ),
    (
        "ray job submit --working-dir . --no-wait -- python job.py",
        "`ray` submits jobs, and this is the command line of one",
        advice(typing("raybundle submit --working-dir . --no-wait -- python job.py")),
    ),
    (
        "ray job submit python job.py",
        "`ray` submits jobs, and this is the command line of one",
        advice(typing("raybundle submit python job.py")),
    ),
    (
        "raybundle submit job.py",
        "`raybundle` submits jobs, and this is the command line of one",
        advice(typing("raybundle submit job.py")),
    ),
    (
        "jupyter nbconvert --to notebook --execute nb.ipynb",
        "`jupyter` writes a notebook, and a job runs its cells",
        advice(typing("raybundle submit nb.ipynb")),
    ),
    (
        "papermill nb.ipynb out.ipynb -p a 1",
        "`papermill` writes a notebook, and a job runs its cells",
        advice(
            "its parameters, and the notebook that it writes, are left out",
            typing("raybundle submit nb.ipynb"),
        ),
    ),
    (
        "pytest tests/ -q",
        f"`pytest` is a program of another distribution{PROJECT}",
        advice(
            module("run_pytest.py", "pytest"),
            typing(
                "raybundle submit --env PY_IGNORE_IMPORTMISMATCH=1 --include 'tests/**' "
                "run_pytest.py tests/ -q"
            ),
        ),
    ),
    (
        "python -m pytest tests/test_x.py::TestX",
        f"`-m pytest` is a module of another distribution{PROJECT}",
        advice(
            module("run_pytest.py", "pytest"),
            typing(
                "raybundle submit --env PY_IGNORE_IMPORTMISMATCH=1 --include tests/test_x.py "
                "--include tests/__init__.py run_pytest.py tests/test_x.py::TestX"
            ),
        ),
    ),
    (
        "python -m coverage run scripts/train.py x",
        f"`-m coverage` is a module of another distribution{PROJECT}",
        advice(
            module("scripts/run_coverage.py", "coverage"),
            typing(
                "raybundle submit --include scripts/train.py scripts/run_coverage.py run scripts/train.py x"
            ),
        ),
    ),
    (
        "python -m unittest tests.test_x",
        f"`-m unittest` is a module of Python{PROJECT}",
        advice(
            module("run_unittest.py", "unittest"),
            typing("raybundle submit --include tests/test_x.py run_unittest.py tests.test_x"),
        ),
    ),
    (
        "python -m cProfile -o x job.py",
        f"`-m cProfile` is a module of Python{PROJECT}",
        advice(
            module("run_cProfile.py", "cProfile"),
            typing("raybundle submit --include job.py run_cProfile.py -o x job.py"),
        ),
    ),
    (
        "python -m timeit 'x = 1'",
        f"`-m timeit` is a module of Python{PROJECT}",
        advice(module("run_timeit.py", "timeit"), typing("raybundle submit run_timeit.py 'x = 1'")),
    ),
    (
        "python -m http.server 80",
        f"`-m http.server` is a module of Python{PROJECT}",
        advice(module("run_http_server.py", "http.server"), typing("raybundle submit run_http_server.py 80")),
    ),
    (
        "python -m pdb -c continue job.py x",
        "a job has no terminal for `pdb`",
        advice(
            "Ray has a debugger of its own: `breakpoint()` in the code, and `ray debug`",
            typing("raybundle submit job.py x"),
        ),
    ),
    (
        "python -c 'import beside; print(beside.NAME)' a",
        "`python -c` has its code on the command line, and a bundle takes files",
        advice(
            script("inline.py", "import beside; print(beside.NAME)"), typing("raybundle submit inline.py a")
        ),
    ),
    (
        '"python prepare.py && python scripts/train.py"',
        f"`&&` needs a shell{PROJECT}",
        advice(
            in_shell("python prepare.py && python scripts/train.py"),
            typing(
                "raybundle submit --root scripts --include prepare.py --include scripts/train.py run_line.py"
            ),
        ),
    ),
    (
        "uv run --directory scripts train.py",
        "`uv run --directory scripts`" + CHANGED,
        advice(typing("cd scripts"), typing("raybundle submit train.py")),
    ),
]
