//! What can go wrong while a build runs, apart from what vSphere and the guest's Tools report themselves.

use crate::diagnostic::codes;

codes! {
    STEP_FAILED 340 "step-failed"
        "A command in the guest ended with an exit code that isn't a success, or was ended by a signal. The message \
         shows the last lines it wrote to standard error. `--ok=0,3` accepts other codes, `--retry=2` tries again, \
         `--allow-failure` goes on regardless; `vmwbuild build --on-error keep` leaves the machine for a look.";
    STEP_TIMED_OUT 341 "step-timed-out"
        "A command in the guest ran longer than its `--timeout`; it was ended together with everything it had \
         started. Commands that ask for input never end: standard input is closed, so give `-y` or its like.";
    STEP_LOST 342 "step-lost"
        "The guest can't say how a command ended: it was restarted, or the process that watches the command was \
         killed. The command is never run again by itself, since it may have done half of its work. Use REBOOT \
         rather than `reboot` in a RUN.";
    KEY_VALUE 343 "key-value"
        "What a KEY captured isn't a value of the key's type, isn't UTF-8 text, or is larger than 1 MiB.";
    VALUE_FAILED 344 "value-failed"
        "An expression could not be evaluated once the values it needs were known.";
    COPY_SOURCE 345 "copy-source"
        "What a COPY names is missing from the context, lies outside of it, is held back by `.vmwignore`, or can't \
         be read.";
    WAIT_TIMED_OUT 346 "wait-timed-out"
        "What a WAIT waits for didn't come true in time.";
    NOT_CUSTOMIZED 347 "not-customized"
        "vCenter was to configure the guest (`--method=customize`), and says that it failed. It needs VMware Tools of the \
         guest, on Linux also Perl or cloud-init, and a guest that vCenter knows how to customize.";
    JOURNAL 650 "journal"
        "The journal of the build can't be written or read. What a build is about to do in vCenter stands there \
         first, so that it can be gone on with and cleaned up after a crash; without it nothing is done. It is below \
         VMWBUILD_STATE_DIR, XDG_STATE_HOME/vmwbuild or ~/.local/state/vmwbuild.";
    NOT_RESUMABLE 651 "not-resumable"
        "The build can't be gone on with: it has ended, its VMWfile or arguments are others now, another vCenter answers \
         than its own, or something that it needs is gone. `vmwbuild clean BUILD` removes what it has left; then build anew.";
    BUILD_TIMED_OUT 653 "build-timed-out"
        "The whole build took longer than its `--timeout`. Its half-made machines are removed, unless `--on-error keep` \
         is given.";
    NO_BUILD 652 "no-build"
        "No build of that id is remembered, or none that could be meant. `vmwbuild builds` lists builds: those that have \
         ended and left nothing are forgotten after a while.";
    NOT_ON 722 "existing-machine-off"
        "A machine that an ON means is powered off, or was made a template. Its steps need a running guest, and ON never \
         changes the power of a machine that isn't its own.";
    TOO_MANY_DEAD 724 "too-many-dead"
        "`vmwbuild up` has found more dead machines than it may replace at once. Many that die together are rather a sign \
         of something else: a host, a network, a check that is wrong.";
    WATCHED_ELSEWHERE 726 "watched-elsewhere"
        "`vmwbuild up` works on a platform alone: whoever does holds a lock, a custom attribute of vCenter's named \
         `vmwbuild.up` and the VMWfile's name. Another one holds it now, and has given a sign of life. One that is dead \
         is found out by its silence, and its lock is taken over.";
    LOCK_LOST 727 "lock-lost"
        "The lock that keeps two controllers from working on one platform is gone: it couldn't be renewed in time, as \
         when vCenter doesn't answer, or somebody has removed the custom attribute. Nothing is touched any more, since \
         another controller may have taken over.";
    OVA_UNWRITTEN 730 "ova-unwritten"
        "An OVA can't be written: there is no room for it, or no right to. It is written beside its final name, which it \
         gets when it is whole; what was there before is untouched. While it is written it takes up to twice its size.";
    SNAPSHOT_TAKEN 723 "snapshot-taken"
        "SNAPSHOT makes a snapshot that stays, and the machine has one of that name that another build, or somebody, has \
         made: with two of a name nobody could tell which one is gone back to.";
    NO_LOGIN 690 "no-login"
        "A stage has commands to run in a guest, but no account to run them with: neither a LOGIN in the VMWfile \
         nor `--login` (or its variables) gives user and password.";
    INTERRUPTED 692 "interrupted"
        "The build was stopped by Ctrl-C or a signal. Half-made machines are removed, unless `--on-error keep` is \
         given or it was stopped twice.";
    LEFT_BEHIND 693 "left-behind"
        "Machines that the build has made are still there, because they couldn't be removed or the build was told \
         to leave at once.";
    PLACEMENT 695 "placement"
        "Where a machine is to live can't be decided from the inventory.";
}
