//! Servers that end with the process that started them.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    thread::sleep,
    time::Duration,
};

/// Where `initdb` and `postgres` are.
const BINARIES: &str = "ATELIER_POSTGRES_BIN";
/// Where it is on a Unix socket, which has a directory of its own.
const PORT: u16 = 5432;
/// Settings of one that is reached by a port. Its address is none of those that tests give to workers, for those are not asked.
const LOOPBACK: [&str; 3] = ["fsync=off", "full_page_writes=off", "listen_addresses=127.0.0.2"];
/// Postgres does not run as root.
const NOBODY: u32 = 65534;

/// Outlives nothing: when the test's end of the pipe closes, however the test ended, the server and its files go.
const SUPERVISOR: &str = r#"
    trap '' INT TERM
    dir=$1; shift
    while read -r word children; do
        case $word in
            start) "$@" >>"$dir/log" 2>&1 </dev/null & pid=$!; echo "$pid" ;;
            kill) kill -KILL "$pid" $children; wait "$pid"; echo killed ;;
        esac
    done
    kill -QUIT "$pid"; wait "$pid"
    rm -rf "$dir"
"#;

/// A PostgreSQL server on a Unix socket, and on a port of this machine where that was asked for.
pub struct Postgres {
    dir: PathBuf,
    port: u16,
    supervisor: Mutex<Supervisor>,
}

struct Supervisor {
    child: Child,
    /// The server's.
    pid: String,
    answers: BufReader<ChildStdout>,
}

impl Postgres {
    /// The server that all tests of this process may use, and none may kill.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A server of one's own.
    ///
    /// # Panics
    /// When there is no PostgreSQL.
    pub fn start() -> Self {
        // Tests kill servers, not machines.
        Self::start_with(&["fsync=off", "full_page_writes=off"])
    }

    /// A server with these settings.
    ///
    /// # Panics
    /// When there is no PostgreSQL.
    pub fn start_with(settings: &[&str]) -> Self {
        Self::start_at(PORT, settings)
    }

    /// A server that is reached as those of others are: by [`Self::loopback_url`].
    ///
    /// # Panics
    /// When there is no PostgreSQL, or no port.
    pub fn start_on_loopback() -> Self {
        Self::start_at(free_port(), &LOOPBACK)
    }

    fn start_at(port: u16, settings: &[&str]) -> Self {
        let bin = env::var_os(BINARIES).map(PathBuf::from).unwrap_or_else(|| {
            panic!(
                "{BINARIES} is not set: run `cargo xtask test --only unit`, which installs PostgreSQL and sets it, or \
                 set it to the directory of initdb and postgres"
            )
        });
        let dir = tempfile::Builder::new().prefix("atelier-pg-").tempdir();
        let dir = dir.expect("a temporary directory can be made").keep();
        let is_root = fs::metadata(&dir).expect("it was just made").uid() == 0;
        if is_root {
            chown(&dir, Some(NOBODY), Some(NOBODY)).expect("root may do so");
        }
        let data = dir.join("data");
        let mut initdb = unprivileged(is_root, &bin.join("initdb"));
        initdb.args([
            "--no-sync",
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C",
        ]);
        let made = initdb
            .arg("-D")
            .arg(&data)
            .current_dir(&dir)
            .output()
            .expect("a program can be run");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{} failed: {said}", bin.join("initdb").display());

        let mut postgres = unprivileged(is_root, &bin.join("postgres"));
        postgres
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&dir)
            .args(["-c", "listen_addresses="]);
        postgres.args(["-c", "max_connections=60", "-p", &port.to_string()]);
        postgres.args(settings.iter().flat_map(|setting| ["-c", setting]));
        let mut child = Command::new("sh")
            .args(["-c", SUPERVISOR, "supervisor"])
            .arg(&dir)
            .arg(postgres.get_program())
            .args(postgres.get_args())
            .current_dir(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        let this = Self {
            dir,
            port,
            supervisor: Mutex::new(Supervisor {
                child,
                pid: String::new(),
                answers,
            }),
        };
        this.restart();
        this
    }

    /// Kills the server as `kill -9` does, with the processes that serve connections: without it they would finish
    /// what they are about.
    pub fn kill(&self) {
        let pid = self.lock().pid.clone();
        self.tell(&format!("kill {}", children(&pid).join(" ")));
    }

    /// Starts a server that was killed.
    ///
    /// # Panics
    /// When it does not stay.
    pub fn restart(&self) {
        let starts = || self.log().matches("ready to accept").count();
        let before = starts();
        for _ in 0..100 {
            let pid = self.tell("start");
            self.lock().pid.clone_from(&pid);
            for _ in 0..200 {
                sleep(Duration::from_millis(20));
                if !is_running(&pid) {
                    // Processes of the killed one still hold its memory.
                    break;
                }
                if starts() > before {
                    return;
                }
            }
        }
        panic!("Postgres does not start: {}", self.log());
    }

    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        let (port, dir) = (self.port, self.dir.display());
        format!("postgres://postgres@localhost:{port}/{database}?host={dir}")
    }

    /// The URL of a database for one of its users, by its port.
    pub fn loopback_url(&self, user: &str, database: &str) -> String {
        format!("postgres://{user}@127.0.0.2:{}/{database}", self.port)
    }

    /// What the server says.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Supervisor> {
        self.supervisor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, word: &str) -> String {
        let mut supervisor = self.lock();
        let stdin = supervisor.child.stdin.as_mut().expect("it is piped");
        writeln!(stdin, "{word}").expect("the supervisor lives as long as this process");
        let mut answer = String::new();
        let read = supervisor.answers.read_line(&mut answer);
        read.expect("the supervisor lives as long as this process");
        answer.trim().to_owned()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let supervisor = self.supervisor.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(supervisor.child.stdin.take());
        let _ = supervisor.child.wait();
    }
}

fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.2:0").and_then(|listener| listener.local_addr());
    free.expect("there is a port").port()
}

fn is_running(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    // Not there, or a zombie.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// The processes that one has started.
fn children(pid: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("this is Linux").flatten();
    let is_child = |entry: &fs::DirEntry| {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The name in parentheses may hold anything.
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1));
        parent == Some(pid)
    };
    let children = processes.filter(is_child);
    children
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// A command that runs as nobody where this process is root. It may still pass the directories that only root may, for
/// the programs may lie below one.
fn unprivileged(is_root: bool, program: &Path) -> Command {
    if !is_root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args([
        format!("--reuid={NOBODY}"),
        format!("--regid={NOBODY}"),
        "--clear-groups".into(),
        "--inh-caps=+dac_override".into(),
        "--ambient-caps=+dac_override".into(),
        // Without it, access(2) would not heed that.
        "--securebits=+no_setuid_fixup".into(),
    ]);
    command.arg(program);
    command
}
