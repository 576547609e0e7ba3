//! What the process gives up once it knows its configuration: writing elsewhere, running programs, ruling the system.
//!
//! Is: no_new_privs(2), Landlock rules (landlock(7)) and a seccomp filter (seccomp(2)). In: the folders that may be
//! written: the data folder and those of `file` outputs. Out: a process that writes only there, runs no program, and
//! makes no call by which a system is ruled or another process is touched. Reading stays free, since a reload may name
//! new logs, certificates and databases, and Landlock's rules cannot be widened: what a service may read is for its
//! unit to say. Promises: where the kernel has no Landlock or no seccomp the rest is done and one line says so; a
//! reload that names a folder that must not be written is refused, with what to do, and the old configuration goes on.
//! On failure: a warning; the agent runs on as far as it got.
//!
//! It must be called before the first thread is started: rules count for the calling thread and what it starts.

use std::path::{Component, Path, PathBuf};

use crate::config::Plan;
use crate::diagnostic::Diagnostic;

/// What the process may still do.
#[derive(Default)]
pub(super) struct Sandbox {
    /// Folders that may be written; `None`: there is no limit.
    writes: Option<Vec<PathBuf>>,
}

impl Sandbox {
    /// Confines this process to `data` and the folders of the outputs.
    pub(super) fn enter(data: &Path, plans: &[Plan]) -> Sandbox {
        let mut writes = vec![plain(data)];
        writes.extend(folders(plans).map(|folder| plain(&folder)));
        writes.sort();
        writes.dedup();
        let limited = kernel::confine(&writes);
        Sandbox { writes: limited.then_some(writes) }
    }

    /// Why these plans cannot be run in it; `None`: they can.
    pub(super) fn refuses(&self, plans: &[Plan]) -> Option<Diagnostic> {
        let writes = self.writes.as_ref()?;
        let outside = |folder: &PathBuf| !writes.iter().any(|w| plain(folder).starts_with(w));
        let folder = folders(plans).find(outside)?;
        let message = format!(
            "an output writes to `{}`, which the sandbox of the running process does not allow",
            folder.display()
        );
        let hint = "restart logweir, which then allows it (a sandbox cannot be widened), or run it with --sandbox off";
        Some(Diagnostic::error(message).hint(hint))
    }
}

/// The folders that outputs write to.
fn folders(plans: &[Plan]) -> impl Iterator<Item = PathBuf> {
    plans.iter().flat_map(|plan| &plan.outputs).filter_map(|output| output.output.writes())
}

/// The path from the root, without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut plain = PathBuf::new();
    for part in whole.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(not(feature = "sandbox"))]
mod kernel {
    //! Built without a sandbox.

    /// Confines nothing.
    pub(super) fn confine(_writes: &[super::PathBuf]) -> bool {
        tracing::info!("built without a sandbox");
        false
    }
}

#[cfg(feature = "sandbox")]
mod kernel {
    //! What the kernel is asked for.

    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    use landlock::{
        ABI, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
        RulesetStatus,
    };
    use seccompiler::{
        SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    };

    type Failed = Box<dyn std::error::Error>;

    /// Calls that no part of the agent makes: other processes, programs, the system itself, and what has been used to
    /// break out of sandboxes.
    const FORBIDDEN: &[libc::c_long] = &[
        libc::SYS_acct,
        libc::SYS_add_key,
        libc::SYS_adjtimex,
        libc::SYS_bpf,
        libc::SYS_chroot,
        libc::SYS_clock_adjtime,
        libc::SYS_clock_settime,
        libc::SYS_delete_module,
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_finit_module,
        libc::SYS_fsconfig,
        libc::SYS_fsmount,
        libc::SYS_fsopen,
        libc::SYS_init_module,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_io_uring_setup,
        libc::SYS_kcmp,
        libc::SYS_kexec_load,
        libc::SYS_keyctl,
        libc::SYS_mount,
        libc::SYS_move_mount,
        libc::SYS_open_by_handle_at,
        libc::SYS_open_tree,
        libc::SYS_perf_event_open,
        libc::SYS_personality,
        libc::SYS_pidfd_getfd,
        libc::SYS_pivot_root,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_ptrace,
        libc::SYS_quotactl,
        libc::SYS_reboot,
        libc::SYS_request_key,
        libc::SYS_sethostname,
        libc::SYS_setns,
        libc::SYS_settimeofday,
        libc::SYS_swapoff,
        libc::SYS_swapon,
        libc::SYS_syslog,
        libc::SYS_umount2,
        libc::SYS_unshare,
        libc::SYS_userfaultfd,
        libc::SYS_vhangup,
    ];
    /// Kinds of sockets that are used: to the service manager, the network, and the kernel's list of addresses.
    const SOCKETS: [libc::c_int; 4] =
        [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    /// Files beside the folders that a program may be asked to write to.
    const DEVICES: [&str; 2] = ["/dev/null", "/dev/zero"];

    /// Confines the process; whether writing is limited now.
    pub(super) fn confine(writes: &[PathBuf]) -> bool {
        if let Err(why) = rustix::thread::set_no_new_privs(true) {
            tracing::warn!("the sandbox is not complete: no_new_privs: {why}");
        }
        let limited = match limit_files(writes) {
            Ok(RulesetStatus::NotEnforced) => {
                tracing::info!("the kernel has no Landlock: what may be written is not limited");
                false
            }
            Ok(_) => true,
            Err(why) => {
                tracing::warn!("the sandbox is not complete: Landlock: {why}");
                false
            }
        };
        match limit_calls() {
            Ok(()) => tracing::debug!(?writes, limited, "in the sandbox"),
            Err(why) => tracing::warn!("the sandbox is not complete: seccomp: {why}"),
        }
        limited
    }

    /// Lets files be written only beneath these folders, and no program be run.
    fn limit_files(writes: &[PathBuf]) -> Result<RulesetStatus, Failed> {
        let abi = ABI::V5;
        let write = AccessFs::from_write(abi);
        let ruleset = Ruleset::default().handle_access(write | AccessFs::Execute)?.create()?;
        let mut rules = Vec::new();
        for folder in writes {
            rules.push(Ok::<_, Failed>(PathBeneath::new(open(folder)?, write)));
        }
        for device in DEVICES {
            if let Ok(file) = PathFd::new(device) {
                rules.push(Ok(PathBeneath::new(file, AccessFs::WriteFile)));
            }
        }
        Ok(ruleset.add_rules(rules)?.restrict_self()?.ruleset)
    }

    /// A folder; made if it is missing, as the output would make it.
    fn open(folder: &Path) -> Result<PathFd, Failed> {
        let _ = std::fs::create_dir_all(folder);
        PathFd::new(folder).map_err(|why| format!("`{}`: {why}", folder.display()).into())
    }

    /// Answers forbidden calls with EPERM.
    fn limit_calls() -> Result<(), Failed> {
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
            FORBIDDEN.iter().map(|call| (*call, Vec::new())).collect();
        let other = |family: &libc::c_int| {
            SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, *family as u64)
        };
        let others = SOCKETS.iter().map(other).collect::<Result<Vec<_>, _>>()?;
        rules.insert(libc::SYS_socket, vec![SeccompRule::new(others)?]);
        let filter = SeccompFilter::new(
            rules,
            SeccompAction::Allow,
            SeccompAction::Errno(libc::EPERM as u32),
            std::env::consts::ARCH.try_into()?,
        )?;
        let program: seccompiler::BpfProgram = filter.try_into()?;
        Ok(seccompiler::apply_filter_all_threads(&program)?)
    }
}

#[cfg(all(test, feature = "sandbox"))]
mod tests;
